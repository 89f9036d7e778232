"""How the layers of runtime/layers.py start where nothing else is asked: torch's custom, and the spec library's."""

from __future__ import annotations

import math
from collections.abc import Callable

from mctc.ir.program import Initializer, Op, Source
from mctc.targets.torch.held import Tensor

ONES, ZEROS = Initializer("ones"), Initializer("zeros")


def starts_as_usual(tensor: Tensor, op: Op, attribute: str) -> bool:
    """Whether a layer made for `op` starts this tensor as the spec wants it without being told."""
    usual = USUAL[op.name](op, attribute)
    start = tensor.start
    if _padded(tensor) or start.rule != usual.rule or len(start.arguments) != len(usual.arguments):
        return False
    pairs = zip(sorted(start.arguments), sorted(usual.arguments))
    return all(a == b and math.isclose(x, y) for (a, x), (b, y) in pairs)


def _padded(tensor: Tensor) -> bool:
    return not isinstance(tensor.recipe, Source) and tensor.recipe.op == "pad"


def _product(op: Op, attribute: str) -> Initializer:
    weight = op.operand("weight")
    assert weight is not None, f"{op.name} has a weight"
    fan_in = math.prod(weight.type.shape[1:])
    if attribute == "weight":
        return Initializer("kaiming_uniform", (("fan_in", fan_in),))
    return Initializer("uniform", (("bound", 1 / math.sqrt(fan_in)),))


def _norm(op: Op, attribute: str) -> Initializer:
    return ONES if attribute in ("weight", "running_var") else ZEROS


def _cell(op: Op, attribute: str) -> Initializer:
    weight = op.operand("weight_hh")
    assert weight is not None, f"{op.name} has a weight_hh"
    return Initializer("uniform", (("bound", 1 / math.sqrt(weight.type.shape[1])),))


USUAL: dict[str, Callable[[Op, str], Initializer]] = {
    "conv2d": _product,
    "linear": _product,
    "layer_norm": _norm,
    "rms_norm": _norm,
    "batch_norm": _norm,
    "embedding": lambda op, attribute: Initializer("normal", (("std", 1.0),)),
    "lstm": _cell,
    "gru": _cell,
}
