"""Sides of kernels that an M1 does not take."""

from __future__ import annotations

from mctc.hardware.families import MEASURED
from mctc.linter.coreml.forms import window
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.sources import GUIDE
from mctc.linter.coreml.target import Scope, Target


def _wide_for_family(op: Op, target: Target) -> str | None:
    """What an M4 takes and the family doesn't."""
    depth, height, width = window(op) or (1, 1, 1)
    square = depth == 1 and height == width
    taken = MEASURED.kernel_square if square else MEASURED.kernel_row
    if not target.family.kernel_row < width <= taken:
        return None
    return f"a kernel {width} wide is wider than the {target.family.kernel_row} measured for {target.family.name}"


def _high_for_family(op: Op, target: Target) -> str | None:
    depth, height, width = window(op) or (1, 1, 1)
    if (depth, width) != (1, 1) or not target.family.kernel_column < height <= MEASURED.kernel_column:
        return None
    return f"a kernel of {height}x1 is higher than the {target.family.kernel_column} measured for {target.family.name}"


KERNELS_M1 = (
    OpRule(
        code="ANE-CV-004",
        name="kernel-wide-for-m1",
        summary="a convolution more than 13 wide, for an M1",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="CD",
        confidence="M",
        scope=Scope(families=frozenset({"H13"})),
        ops=("conv",),
        why="""
            Past Core ML, an M1 compiles fp16 kernels up to 13 wide and refuses 14; later families have 16 in their
            tables. Nobody has tried it through Core ML.
        """,
        fix="""
            Keep the width at 13 or less, or lay the long side along the height (29).
        """,
        source=f"{GUIDE} chapters 4 and 17",
        find=_wide_for_family,
        fires="""
            x: fp16[1, 64, 1, 256]
            y: fp16[1, 64, 1, 256] = conv(x=x, weight=fp16[64, 64, 1, 14], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 256]
            y: fp16[1, 64, 1, 256] = conv(x=x, weight=fp16[64, 64, 1, 13], pad_type="same")
            return y
        """,
    ),
    OpRule(
        code="ANE-CV-004b",
        name="kernel-high-for-m1",
        summary="a convolution of one column more than 29 high, for an M1",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="CD",
        confidence="L",
        scope=Scope(families=frozenset({"H13"})),
        ops=("conv",),
        why="""
            Past Core ML, the height of a kernel reaches 29 on an M1, as the compiler's table for it says. Nobody has
            tried it through Core ML.
        """,
        fix="""
            Keep the height at 29 or less, or chain two kernels.
        """,
        source=f"{GUIDE} chapter 17 and appendix A",
        find=_high_for_family,
        fires="""
            x: fp16[1, 64, 256, 1]
            y: fp16[1, 64, 256, 1] = conv(x=x, weight=fp16[64, 64, 30, 1], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 64, 256, 1]
            y: fp16[1, 64, 256, 1] = conv(x=x, weight=fp16[64, 64, 29, 1], pad_type="same")
            return y
        """,
    ),
)
