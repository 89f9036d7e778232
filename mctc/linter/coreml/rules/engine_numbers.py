"""What the engine's own arithmetic does to numbers (ANE-NM), where it is published: docs/engine-arithmetic.md."""

from __future__ import annotations

from mctc.hardware.families import since
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.rules.numeric_ops import ACCUMULATOR
from mctc.linter.coreml.sources import NUMERICS
from mctc.linter.coreml.sum_bounds import largest_sum
from mctc.linter.coreml.target import Scope, Target

FITTED = {"silu": 0.0149, "gelu": 0.0062}
"""The largest errors of their tables."""


def _overflowing(op: Op, _: Target) -> str | None:
    found = largest_sum(op)
    if found is None or found < ACCUMULATOR:
        return None
    return f"sums can reach {found:.3g}: from {ACCUMULATOR} on, at any moment, they are infinite"


def _fitted(op: Op, _: Target) -> str | None:
    if op.dtype("x") != "fp16":
        return None
    return f"{op.type} by a table of fitted values: off by up to {FITTED[op.type]:g}"


OVERFLOWING = OpRule(
    code="ANE-NM-023",
    name="sum-may-overflow",
    summary="a convolution or linear whose sums can reach 32768, by its weights and the range of its values",
    severity=Severity.NUMERICS,
    evidence="B",
    confidence="M",
    scope=Scope(families=since("H16")),
    ops=("conv", "linear"),
    why="""
        On M4 and M6 products add in fixed point with 15 bits before it. A sum that reaches 32768 at any moment is
        infinite and stays so, whatever follows. The bound is the worst case: the magnitudes of a row of weights times
        the largest value that a clip, a sigmoid, a quantisation or a layer norm lets through, and the bias. Whether a
        sum gets there depends on the values: `mctc verify --arithmetic engine` tells the largest of a recording.
    """,
    fix="Scale weights or values down by a power of two, and the result up.",
    source=f"{NUMERICS} (MAC table, H11)",
    find=_overflowing,
    fires="""
        x: fp16[1, 1024, 1, 16]
        s: fp16[1, 1024, 1, 16] = sigmoid(x=x)
        y: fp16[1, 32, 1, 16] = conv(x=s, weight=fp16[32, 1024, 1, 1](40.0), pad_type="valid")
        return y
    """,
    silent="""
        x: fp16[1, 1024, 1, 16]
        s: fp16[1, 1024, 1, 16] = sigmoid(x=x)
        y: fp16[1, 32, 1, 16] = conv(x=s, weight=fp16[32, 1024, 1, 1](30.0), pad_type="valid")
        return y
    """,
)

FITTED_TABLE = OpRule(
    code="ANE-NM-024",
    name="fitted-activation",
    summary="silu or gelu, which the engine takes from a table of fitted values",
    severity=Severity.INFO,
    evidence="BDM",
    confidence="M",
    scope=Scope(families=since("H18")),
    ops=tuple(FITTED),
    why="""
        On an M6 both are tables of 33 values, fitted so that the error is spread: silu is off by up to 0.0149 and is
        -0.0017 at 0, gelu by up to 0.0062, in every mode. Other tables hold the function's own values: silu by sigmoid
        and mul is off by 0.0061 at most, by tanh by 0.0036, by exp by 0.0027, which is fp16's own rounding. On a
        trained encoder of sixteen silus that was 39, 44, 55 and 61 dB. What it costs a model is told by `mctc verify
        --arithmetic engine`, as a range, because not all of the fitted values are published.
    """,
    fix="Write silu as relu(x) - |x| e / (1 + e) with e = exp(-|x|) (`mctc build --device M6` does).",
    source=f"{NUMERICS} (F3, F3b); the forms: mctc's evaluator, docs/engine-arithmetic.md",
    find=_fitted,
    fires="""
        x: fp16[1, 64, 1, 16]
        y: fp16[1, 64, 1, 16] = silu(x=x)
        return y
    """,
    silent="""
        x: fp16[1, 64, 1, 16]
        s: fp16[1, 64, 1, 16] = sigmoid(x=x)
        y: fp16[1, 64, 1, 16] = mul(x=x, y=s)
        return y
    """,
)

ENGINE_NUMBERS = (OVERFLOWING, FITTED_TABLE)
