"""Which ops a layer of runtime/layers.py holds with their parameters, and how to construct and call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mctc.ir.ops.convolution import Conv2d, height_axis, width_axis
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.norm import ChannelNorm
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op
from mctc.ir.types import Role
from mctc.targets.torch.expressions import Text, masked_operand
from mctc.targets.torch.expressions.text import Expression, as_expression, call, literal

Arguments = Callable[[Any], list[str]]


@dataclass(frozen=True)
class LayerClass:
    """A class of runtime/layers.py.

    `parameters` pairs the attributes of the module with the op's operands; an argument switches off what the op goes
    without. `inputs` are the operands that a call passes. A layer returns what the op does.
    """

    name: str
    parameters: Mapping[str, str]
    inputs: tuple[str, ...]
    arguments: Arguments

    def constructor(self, op: Op, *extra: str) -> str:
        """`Conv2d(512, 512, (1, 4), groups=512, pad=(3, 0))`; `extra` are more arguments: initial=..., quantize=..."""
        return f"{self.name}({', '.join([*self.arguments(op), *extra])})"


def layer_of(op: Op) -> LayerClass | None:
    """The layer that can hold this op, or None.

    An op qualifies when its tensors are laid out and each operand but its inputs and states is a parameter of the
    program (the result of a `parameter` op) whose name ends in the layer's own name for it.
    """
    layer = LAYERS.get(op.name)
    if layer is None or not _laid_out_for(op):
        return None
    for declared, value in zip(op.fields, op.operands):
        if declared.name in layer.inputs or value is None:
            continue
        attribute = next((name for name, operand in layer.parameters.items() if operand == declared.name), None)
        maker = value.owner
        if maker is None or maker.name != "parameter":
            return None
        if str(maker.attributes["name"]).rpartition(".")[2] != attribute:
            return None
    return layer


def _laid_out_for(op: Op) -> bool:
    """Whether the op's tensors stand as the layers take them: (batch, channel, ...), sequences last."""
    first = op.operands[0]
    assert first is not None, f"{op.name} has its first operand"
    if op.name == "embedding":
        return Role.UNIT in first.type.roles and first.type.roles.index(Role.UNIT) == 1
    if isinstance(op, Conv2d):
        x = op.x.type
        places = (channel_axis(x), height_axis(x), width_axis(x))
        moves = (*op.stride, *op.weight.type.shape[2:]) != (1, 1, 1, 1) or any((*op.pad, *op.pad_feature))
        same = places[0] == 1 and not moves  # of a frame alone: which other axis is which makes no difference
        return first.type.rank == 4 and (same or places == (1, 2, 3))
    last = op.name not in ("lstm", "gru", "batch_norm") or first.type.sequence in (None, first.type.rank - 1)
    return laid_out(first.type) and last


def layer_call(
    layer_op: Op,
    op: Op,
    module: str,
    operands: Sequence[Text | None],
    valid: Text | None = None,
) -> Expression:
    """The call of `module`, made for `layer_op`, that computes `op`: the same op in `forward` or in a step.

    A step hands a convolution its context, so it passes pad=(0, 0) where the layer was made with other padding.
    `valid` is as in `expression`.
    """
    given = {name: as_expression(value) for name, value in zip(_declared(op), operands) if value is not None}
    keywords: dict[str, Any] = {name: given[name] for name in LAYERS[op.name].inputs[1:] if name in given}
    if op.name == "conv2d" and tuple(op.attributes["pad"]) != tuple(layer_op.attributes["pad"]):
        keywords["pad"] = tuple(op.attributes["pad"])
    if valid is not None and masked_operand(op) is not None:
        keywords["mask" if op.name in ("lstm", "gru") else "valid"] = as_expression(valid)
    return call(Expression(module), given[LAYERS[op.name].inputs[0]], **keywords)


def _shape(op: Op, operand: str) -> tuple[int, ...]:
    value = op.operand(operand)
    assert value is not None, f"{op.name} has its {operand}"
    return value.type.shape


def _switched(op: Op, operand: str, argument: str = "") -> list[str]:
    return [] if op.operand(operand) is not None else [f"{argument or operand}=False"]


def _stated(op: Op, **defaults: Any) -> list[str]:
    """Attributes that differ from the layer's defaults."""
    values = {name: tuple(v) if isinstance(v := op.attributes[name], (list, tuple)) else v for name in defaults}
    return [f"{name}={literal(values[name])}" for name, default in defaults.items() if values[name] != default]


def _conv2d(op: Op) -> list[str]:
    out, into, *kernel = _shape(op, "weight")
    groups = op.attributes["groups"]
    arguments = [str(into * groups), str(out)]
    if kernel != [1, 1]:
        arguments.append(literal(tuple(kernel)))
    pair = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
    return arguments + _stated(op, **pair) + _switched(op, "bias") + _stated(op, pad=(0, 0), pad_feature=(0, 0))


def _linear(op: Op) -> list[str]:
    out, into = _shape(op, "weight")
    return [str(into), str(out), *_switched(op, "bias")]


def _norm(op: ChannelNorm) -> list[str]:
    x = op.x.type
    epsilon = [] if op.attributes["epsilon"] == 1e-5 else [f"eps={literal(op.attributes['epsilon'])}"]
    switched = [text for name in ("weight", "bias") if name in _declared(op) for text in _switched(op, name)]
    return [str(x.extents[1].value), *epsilon, *switched]


def _embedding(op: Op) -> list[str]:
    return [str(extent) for extent in _shape(op, "table")]


def _cell(op: Op) -> list[str]:
    biases = [name for name in _declared(op) if name.startswith("bias")]
    sizes = [_shape(op, "weight_ih")[1], _shape(op, "weight_hh")[1]]
    return [*map(str, sizes), *(text for name in biases for text in _switched(op, name))]


def _declared(op: Op) -> list[str]:
    return [declared.name for declared in op.fields]


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


STATISTICS = {"running_mean": "mean", "running_var": "variance"}
LAYERS: dict[str, LayerClass] = {
    "conv2d": LayerClass("Conv2d", _same("weight", "bias"), ("x",), _conv2d),
    "linear": LayerClass("Linear", _same("weight", "bias"), ("x",), _linear),
    "layer_norm": LayerClass("LayerNorm", _same("weight", "bias"), ("x",), _norm),
    "rms_norm": LayerClass("RMSNorm", _same("weight"), ("x",), _norm),
    "batch_norm": LayerClass("BatchNorm", STATISTICS | _same("weight", "bias"), ("x",), _norm),
    "embedding": LayerClass("Embedding", {"weight": "table"}, ("token",), _embedding),
    "lstm": LayerClass("LSTM", _same("weight_ih", "weight_hh", "bias"), ("x", "h", "c", "mask"), _cell),
    "gru": LayerClass("GRU", _same("weight_ih", "weight_hh", "bias_ih", "bias_hh"), ("x", "h", "mask"), _cell),
}
