"""The window of a convolution: what the engine takes of it, and what it costs (part of ANE-CV)."""

from __future__ import annotations

from mctc.hardware.families import MEASURED
from mctc.linter.coreml.forms import strides, times, window
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.rules.convolution_kernels_m1 import KERNELS_M1
from mctc.linter.coreml.sources import DEFECTS, DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Scope, Target

STUDY = f"{DISPATCH}, section 3.3"
HEAVY_SIDE, HEAVY_CHANNELS = 13, 64
"""The smallest side, and the channels, of the kernels whose compile time was measured."""
NATIVE_WIDTH = 8
"""An M6 runs wider kernels of stride 1 in another form."""


def _row(op: Op, _: Target) -> str | None:
    found = window(op)
    if found is None or found[:2] != (1, 1) or found[2] <= MEASURED.kernel_row:
        return None
    return f"a kernel of 1x{found[2]} is wider than the {MEASURED.kernel_row} that the engine takes of one row"


def _column(op: Op, _: Target) -> str | None:
    depth, height, width = window(op) or (1, 1, 1)
    if (depth, width) != (1, 1) or height <= MEASURED.kernel_column:
        return None
    return f"a kernel of {height}x1 is higher than the {MEASURED.kernel_column} that the engine takes of one column"


def _square(op: Op, _: Target) -> str | None:
    depth, height, width = window(op) or (1, 1, 1)
    if depth != 1 or height != width or width <= MEASURED.kernel_square:
        return None
    side = MEASURED.kernel_square
    return f"a kernel of {height}x{width} is larger than the {side}x{side} that the engine takes"


def _oblong(op: Op, target: Target) -> str | None:
    """Windows that no measurement through Core ML speaks of, beyond the sides of those that it does."""
    depth, height, width = window(op) or (1, 1, 1)
    if depth == 1 and 1 in (height, width):
        return None  # a row or a column
    if depth == 1 and height == width:
        beyond = target.family.kernel_square < width <= MEASURED.kernel_square
    else:
        beyond = width > MEASURED.kernel_row or height > MEASURED.kernel_column
    if not beyond:
        return None
    size = times((depth, height, width) if depth > 1 else (height, width))
    return (
        f"a kernel of {size}: known to be taken are {MEASURED.kernel_row} in width, {MEASURED.kernel_column} in height"
    )


def _heavy(op: Op, _: Target) -> str | None:
    found, shape = window(op), op.shape("weight")
    if found is None or shape is None:
        return None
    height, width = found[1:]
    inside = shape[1] or 0
    if min(height, width) < HEAVY_SIDE or max(height, width) > MEASURED.kernel_square or inside < HEAVY_CHANNELS:
        return None
    return f"a kernel of {height}x{width} over {inside} channels: from seconds (13x13) to minutes (16x16) to compile"


def _rewritten(op: Op, _: Target) -> str | None:
    found = window(op)
    if found is None or found[:2] != (1, 1) or not NATIVE_WIDTH < found[2] <= MEASURED.kernel_row:
        return None
    return f"a kernel of 1x{found[2]} holds its weights twice" if strides(op)[-1:] == (1,) else None


KERNELS = (
    OpRule(
        code="ANE-CV-001",
        name="kernel-too-wide",
        summary="a convolution of one row more than 15 wide",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="B",
        confidence="H",
        ops=("conv",),
        why="""
            On an M4 (macOS 27.0.1) 1x15 may go to the engine and 1x16 may not. On an M6 a width of 16 fails to compile
            for the engine and Core ML runs the whole model on the CPU without a word, 4 to 7 times slower. Direct paths
            to an M1 refuse 16 too. A 1-D kernel is one row.
        """,
        fix="""
            Turn the data so that the long side is the height (31 are taken), or chain two kernels: k = k1 + k2 - 1.
        """,
        source=f"{STUDY}; {DEFECTS} C9; {GUIDE} chapter 4",
        find=_row,
        fires="""
            x: fp16[1, 64, 1, 256]
            y: fp16[1, 64, 1, 256] = conv(x=x, weight=fp16[64, 64, 1, 16], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 64, 1, 256]
            y: fp16[1, 64, 1, 256] = conv(x=x, weight=fp16[64, 64, 1, 15], pad_type="same")
            return y
        """,
    ),
    OpRule(
        code="ANE-CV-002",
        name="kernel-too-high",
        summary="a convolution of one column more than 31 high",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="BD",
        confidence="H",
        ops=("conv",),
        why="""
            On an M4 (macOS 27.0.1) 31x1 may go to the engine and 32x1 may not. The compiler's tables give 29 for an M1
            and 32 for later chips; Core ML stays one below the tables in width as well.
        """,
        fix="""
            Chain two kernels: k = k1 + k2 - 1.
        """,
        source=f"{STUDY}; {GUIDE} appendix A",
        find=_column,
        fires="""
            x: fp16[1, 64, 256, 1]
            y: fp16[1, 64, 256, 1] = conv(x=x, weight=fp16[64, 64, 32, 1], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 64, 256, 1]
            y: fp16[1, 64, 256, 1] = conv(x=x, weight=fp16[64, 64, 31, 1], pad_type="same")
            return y
        """,
    ),
    OpRule(
        code="ANE-CV-003",
        name="kernel-too-large",
        summary="a square convolution larger than 16x16",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="B",
        confidence="H",
        ops=("conv",),
        why="""
            On an M4 (macOS 27.0.1) 16x16 may go to the engine and 17x17 may not; the compiler's tables end at a width
            of 16 on every family.
        """,
        fix="""
            Chain smaller kernels as Apple does: k = k1 + k2 - 1, so two of 9x9 reach as far as one of 17x17.
        """,
        source=f"{STUDY}; {NEURAL_ENGINE_RULES}, Large kernel decomposition",
        find=_square,
        fires="""
            x: fp16[1, 3, 64, 64]
            y: fp16[1, 64, 64, 64] = conv(x=x, weight=fp16[64, 3, 17, 17], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 3, 64, 64]
            y: fp16[1, 64, 64, 64] = conv(x=x, weight=fp16[64, 3, 16, 16], pad_type="same")
            return y
        """,
    ),
    OpRule(
        code="ANE-CV-003b",
        name="kernel-untried",
        summary="a convolution, neither square nor of one row or column, beyond the sides that are taken elsewhere",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BCD",
        confidence="M",
        ops=("conv",),
        why="""
            Only rows, columns and squares were tried through Core ML (M4, macOS 27.0.1). Widths from 16 on fail on an
            M6 and, at a height of 3, on the direct path to an M1; that 16x16 passes on an M4 may be an exception for
            squares.
        """,
        fix="""
            Keep the width at 15 or less and the height at 31 or less, or chain smaller kernels.
        """,
        source=f"{STUDY}; {DEFECTS} C9; {GUIDE} chapter 4",
        find=_oblong,
        fires="""
            x: fp16[1, 3, 64, 64]
            y: fp16[1, 64, 64, 64] = conv(x=x, weight=fp16[64, 3, 3, 16], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 3, 64, 64]
            y: fp16[1, 64, 64, 64] = conv(x=x, weight=fp16[64, 3, 3, 15], pad_type="same")
            return y
        """,
    ),
    *KERNELS_M1,
    OpRule(
        code="ANE-CV-005",
        name="kernel-slow-to-compile",
        summary="a convolution of 13x13 to 16x16 over 64 channels or more",
        severity=Severity.PERFORMANCE,
        evidence="B",
        confidence="M",
        ops=("conv",),
        why="""
            Loading the plan of one layer (64 channels, 32x32; M4, macOS 27.0.1) took 2 to 23 s with 13x13, and 212 to
            229 s and 11.7 GB of the compiler's memory with 16x16. Fewer channels were not tried; that is where the line
            is drawn.
        """,
        fix="""
            Chain smaller kernels: k = k1 + k2 - 1.
        """,
        source=STUDY,
        find=_heavy,
        fires="""
            x: fp16[1, 64, 32, 32]
            y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 13, 13], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 64, 32, 32]
            y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 12, 12], pad_type="same")
            return y
        """,
    ),
    OpRule(
        code="ANE-CV-016",
        name="kernel-held-twice",
        summary="a convolution of one row 9 to 15 wide, for an M6",
        severity=Severity.PERFORMANCE,
        evidence="B",
        confidence="M",
        scope=Scope(families=frozenset({"H18G"})),
        ops=("conv",),
        why="""
            An M6 runs kernels up to 8 wide as they are. Wider ones are rewritten to stride 2 with about twice the
            weights; in chains of 256 channels (16x32) both engines then read all of them for 1x9, 1x10, 1x11 and 1x15,
            and the second engine brings nothing.
        """,
        fix="""
            Keep the width at 8 or less, chain two kernels, or lay the long side along the height.
        """,
        source=f"{DEFECTS} B9",
        find=_rewritten,
        fires="""
            x: fp16[1, 256, 16, 32]
            y: fp16[1, 256, 16, 32] = conv(x=x, weight=fp16[256, 256, 1, 9], pad_type="same")
            return y
        """,
        silent="""
            x: fp16[1, 256, 16, 32]
            y: fp16[1, 256, 16, 32] = conv(x=x, weight=fp16[256, 256, 1, 8], pad_type="same")
            return y
        """,
    ),
)
