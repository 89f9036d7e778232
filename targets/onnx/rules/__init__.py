"""IR ops as ONNX nodes: one file a family, each a table of rules."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules import (
    attention,
    convolution,
    elementwise,
    leaf,
    linear,
    loop,
    norm,
    quantize,
    recurrent,
    reduce,
    relative_attention,
    scan,
    shape,
)

FAMILIES = (
    leaf, elementwise, linear, convolution, norm, quantize, reduce, shape, attention, relative_attention, recurrent,
    scan, loop,
)  # fmt: skip
RULES = Rules[GraphEmitter, Result]({name: rule for family in FAMILIES for name, rule in family.RULES.items()})
