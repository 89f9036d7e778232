"""Activations in 8 bits, in the numbers of the asset: steps of a scale, rounded and kept within int8."""

from __future__ import annotations

from coreai import authoring as ca

from mctc.emit.rules import Rules
from mctc.ir.ops.quantize import HIGH, LOW, FakeQuantize
from mctc.targets.coreai.function import FunctionEmitter, Result

RULES = Rules[FunctionEmitter, Result]()


@RULES.of(FakeQuantize)
def _fake_quantize(op: FakeQuantize, e: FunctionEmitter) -> Result:
    scale = e.ref(op.scale)
    steps = ca.broadcasting_maximum(ca.broadcasting_divide(e.ref(op.x), scale), e.number(LOW))
    return ca.broadcasting_mul(ca.round_(ca.broadcasting_minimum(steps, e.number(HIGH))), scale)
