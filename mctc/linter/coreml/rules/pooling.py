"""Pools (ANE-PL)."""

from __future__ import annotations

from mctc.hardware.families import FAMILIES, MEASURED
from mctc.linter.coreml.forms import POOLS, kernel, strides, times, window
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import Effect, OpRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.sources import DISPATCH, GUIDE, NEURAL_ENGINE_RULES
from mctc.linter.coreml.target import Scope, Target

STUDY = f"{DISPATCH}, section 3.3"
GOOD_STRIDES = (1, 2, 4)
UNMEASURED = frozenset(FAMILIES) - {MEASURED.name}
WHOLE_WIDTH = 32
"""The one width beyond the limit that Core ML's validator names as taken: "must be [1-8] or 32" (iso/max_pool_k15)."""


def _max_width(op: Op, target: Target) -> str | None:
    found = window(op)
    limit = target.family.pool_max_width
    if found is None or found[2] <= limit or found[2] == WHOLE_WIDTH:
        return None
    return f"a max_pool of {times(kernel(op))} is wider than the {limit} that an M4 takes"


def _average(op: Op, target: Target) -> str | None:
    found = kernel(op)
    limit = target.family.pool_average
    if max(found, default=0) <= limit:
        return None
    return f"an avg_pool of {times(found)} is larger than the {limit} that was tried"


def _stride(op: Op, _: Target) -> str | None:
    found = strides(op)
    shape = (op.result.shape if op.result is not None else None) or ()
    steps = shape[-len(found) :] if len(shape) > len(found) else (None,) * len(found)
    if all(stride in GOOD_STRIDES or extent == 1 for stride, extent in zip(found, steps)):
        return None  # along an axis with one window nothing is stepped over
    return f"a pool with a stride of {times(found)}"


RULES = RuleFamily(
    name="pooling",
    title="Pools",
    rules=(
        OpRule(
            code="ANE-PL-001",
            name="max-pool-too-wide",
            summary="a max_pool more than 8 wide",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="B",
            confidence="M",
            scope=Scope(families=frozenset({MEASURED.name})),
            ops=("max_pool",),
            why="""
                On an M4 (macOS 27.0.1) 8x8 and 9x1 may go to the engine; 9x9 and 1x9 may not. Core ML's own words are
                that the width "must be [1-8] or 32". It is stricter here than the engine: direct paths take windows of
                128 and more.
            """,
            fix="""
                Chain pools of stride 1: k = k1 + k2 - 1, so two of 5x5 reach as far as one of 9x9.
            """,
            source=f"{STUDY}; {GUIDE} chapter 17",
            find=_max_width,
            fires="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 32, 24] = max_pool(x=x, kernel_sizes=[1, 9], strides=[1, 1], pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 25, 25] = max_pool(x=x, kernel_sizes=[8, 8], strides=[1, 1], pad_type="valid")
                return y
            """,
        ),
        OpRule(
            code="ANE-PL-001b",
            name="max-pool-wide-untried",
            summary="a max_pool more than 8 wide, on a chip where that was not tried through Core ML",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="BC",
            confidence="L",
            scope=Scope(families=UNMEASURED),
            ops=("max_pool",),
            sides=Sides(
                stays=f"{GUIDE} chapter 17: an M1 takes 128 and more past Core ML; "
                "hollance/neural-engine: up to 13, with neural-network models",
                leaves=f"{DISPATCH}: an M4 refuses widths from 9 on through Core ML, and the compiler does for an M6",
            ),
            why="""
                The limit of 8 was measured on an M4 (macOS 27.0.1), and Apple's compiler has it for an M6. It is Core
                ML's rather than the engine's, so other chips may share it.
            """,
            fix="""
                Chain pools of stride 1: k = k1 + k2 - 1, so two of 5x5 reach as far as one of 9x9.
            """,
            source=f"{STUDY}; {GUIDE} chapter 17; hollance/neural-engine",
            find=_max_width,
            fires="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 32, 24] = max_pool(x=x, kernel_sizes=[1, 9], strides=[1, 1], pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 24, 32] = max_pool(x=x, kernel_sizes=[9, 1], strides=[1, 1], pad_type="valid")
                return y
            """,
        ),
        OpRule(
            code="ANE-PL-002",
            name="avg-pool-large",
            summary="an avg_pool larger than was tried: 14 on an M4 and an M6, 13 elsewhere",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="BF",
            confidence="L",
            ops=("avg_pool",),
            sides=Sides(
                stays=f"{DISPATCH}: 14x14, the largest tried, is placed on an M4; ane-guide: 29 to 31",
                leaves="hollance/neural-engine: more than 13 left the engine, with neural-network models",
            ),
            why="""
                On an M4 (macOS 27.0.1) every size up to 14x14 may go to the engine, and the compiler takes as much for
                an M6; no larger one was tried. For older chips 13 is all that is written.
            """,
            fix="""
                Use reduce_mean for a mean over everything, or chain pools.
            """,
            source=f"{STUDY}; hollance/neural-engine unsupported-layers.md and #1",
            find=_average,
            fires="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 19, 19] = avg_pool(x=x, kernel_sizes=[14, 14], strides=[1, 1], pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 20, 20] = avg_pool(x=x, kernel_sizes=[13, 13], strides=[1, 1], pad_type="valid")
                return y
            """,
        ),
        OpRule(
            code="ANE-PL-003",
            name="pool-stride",
            summary="a pool with a stride other than 1, 2 or 4",
            severity=Severity.PERFORMANCE,
            evidence="AD",
            confidence="M",
            ops=POOLS,
            why="""
                Apple asks for strides of 2 or 4 and says that 3, 5 and others cost more. A message of the compiler has
                strides of 3 in the averaging mode only.
            """,
            fix="""
                Pool with a stride of 2 or 4.
            """,
            source=f"{NEURAL_ENGINE_RULES}, Pooling stride; pkhairkh/MILLer (compiler strings)",
            find=_stride,
            fires="""
                x: fp16[1, 64, 33, 33]
                y: fp16[1, 64, 11, 11] = max_pool(x=x, kernel_sizes=[3, 3], strides=[3, 3], pad_type="valid")
                return y
            """,
            silent="""
                x: fp16[1, 64, 33, 33]
                y: fp16[1, 64, 16, 16] = max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="valid")
                return y
            """,
        ),
    ),
    not_decidable=(
        ("ANE-PL-004", "dilated pools are said to be refused; MIL's pools have no dilation, so no package holds one"),
    ),
)
