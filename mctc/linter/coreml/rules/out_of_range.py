"""Results whose known range goes beyond that of fp16 (ANE-NM)."""

from __future__ import annotations

import math

from mctc.linter.coreml.bounds import FP16_LARGEST, bounds, magnitude, result_bounds
from mctc.linter.coreml.graph import Op
from mctc.linter.coreml.rule import OpRule, Severity
from mctc.linter.coreml.rules.lost_constants import ENDS_WELL
from mctc.linter.coreml.target import Target

OPERANDS = dict.fromkeys(("add", "sub", "mul", "real_div", "pow"), ("x", "y")) | {"square": ("x",)}

BACK = 3
"""Ops that are looked back over: most results are sums and products, and all of them are asked for."""


def _out_of_range(op: Op, _: Target) -> str | None:
    if op.result is None or op.result.dtype != "fp16":
        return None
    largest = magnitude(result_bounds(op, BACK))
    if largest is None or not FP16_LARGEST < largest < math.inf:
        return None
    if any((magnitude(bounds(op, operand, BACK)) or 0.0) > FP16_LARGEST for operand in OPERANDS[op.type]):
        return None  # told where it comes from
    users = op.users()
    if users and all(user.type in ENDS_WELL for user in users):
        return None
    return f"{op.type} may reach {largest:.4g}; fp16 ends at {FP16_LARGEST:.0f}, what is larger is infinite"


OUT_OF_RANGE = OpRule(
    code="ANE-NM-025",
    name="result-out-of-range",
    summary="a result in fp16 whose operands' known range lets it exceed 65504",
    severity=Severity.NUMERICS,
    evidence="CM",
    confidence="M",
    ops=tuple(OPERANDS),
    why="""
        fp16 ends at 65504; elementwise results beyond are infinite on the engine, too. Scaled down behind it they stay
        infinite, and a tanh or a sigmoid behind that makes a finite, wrong number of them. The range is the worst case
        of what a clip, a sigmoid, a tanh or constants leave; where nothing bounds an operand, or what follows ends
        well (a clip, a softmax, a maximum), nothing is reported. A build of mctc evaluates its own packages and warns
        of what it meets.
    """,
    fix="Scale down before the product or sum and not after it, or merge the two factors into one.",
    source="docs/engine-arithmetic.md (additions and products: fp16's range); IEEE 754",
    find=_out_of_range,
    fires="""
        x: fp16[1, 64]
        t: fp16[1, 64] = tanh(x=x)
        a: fp16[1, 64] = mul(x=t, y=300.0)
        b: fp16[1, 64] = mul(x=a, y=300.0)
        y: fp16[1, 64] = mul(x=b, y=0.001)
        return y
    """,
    silent="""
        x: fp16[1, 64]
        t: fp16[1, 64] = tanh(x=x)
        a: fp16[1, 64] = mul(x=t, y=300.0)
        b: fp16[1, 64] = mul(x=a, y=0.001)
        y: fp16[1, 64] = mul(x=b, y=300.0)
        return y
    """,
)
