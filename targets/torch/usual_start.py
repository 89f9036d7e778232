"""How the layers of runtime/layers.py start where nothing else is asked: torch's custom, and the spec library's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mctc.ir.input_scales import START
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.linear import Embedding, Linear
from mctc.ir.ops.norm import BatchNorm, LayerNorm, RmsNorm
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.program import Initializer, Op, Source
from mctc.targets.torch.parameters import StoredTensor

ONES, ZEROS = Initializer("ones"), Initializer("zeros")


def starts_as_usual(tensor: StoredTensor, op: Op, attribute: str) -> bool:
    """Whether a layer made for `op` starts this tensor as the spec wants it without being told."""
    usual = USUAL[type(op)](op, attribute)
    start = tensor.start
    if _padded(tensor) or start.rule != usual.rule or len(start.arguments) != len(usual.arguments):
        return False
    pairs = zip(sorted(start.arguments), sorted(usual.arguments))
    return all(a == b and math.isclose(x, y) for (a, x), (b, y) in pairs)


def _padded(tensor: StoredTensor) -> bool:
    return not isinstance(tensor.recipe, Source) and tensor.recipe.op == "pad"


def _product(op: Conv2d | Linear, attribute: str) -> Initializer:
    fan_in = math.prod(op.weight.type.shape[1:])
    if attribute == "weight":
        return Initializer("kaiming_uniform", (("fan_in", fan_in),))
    return Initializer("uniform", (("bound", 1 / math.sqrt(fan_in)),))


def _norm(op: Op, attribute: str) -> Initializer:
    return ONES if attribute in ("weight", "running_var") else ZEROS


def _cell(op: Cell, attribute: str) -> Initializer:
    return Initializer("uniform", (("bound", 1 / math.sqrt(op.weight_hh.type.shape[1])),))


USUAL: dict[type[Op], Callable[[Any, str], Initializer]] = {
    Conv2d: _product,
    Linear: _product,
    LayerNorm: _norm,
    RmsNorm: _norm,
    BatchNorm: _norm,
    Embedding: lambda op, attribute: Initializer("normal", (("std", 1.0),)),
    FakeQuantize: lambda op, attribute: START,
    Lstm: _cell,
    Gru: _cell,
}
