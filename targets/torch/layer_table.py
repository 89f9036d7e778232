"""Which ops a layer of runtime/layers.py holds with their parameters, and how to construct and call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mctc.ir.ops.convolution import Conv2d, height_axis, width_axis
from mctc.ir.ops.leaf import ParameterOp, parameter_of
from mctc.ir.ops.linear import Embedding, Linear, channel_axis
from mctc.ir.ops.norm import BatchNorm, ChannelNorm, LayerNorm, RmsNorm
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.targets.torch.expressions import Text
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

    An op qualifies when its tensors are laid out and its layer `holds` what it is given.
    """
    layer = LAYERS.get(type(op))
    return layer if layer is not None and _laid_out_for(op) and holds(layer, op) else None


def holds(layer: LayerClass, op: Op) -> bool:
    """Whether each operand but inputs and states is a parameter whose name ends in the layer's own name for it."""
    for declared, value in zip(op.fields, op.operands):
        if declared.name in layer.inputs or value is None:
            continue
        attribute = next((name for name, operand in layer.parameters.items() if operand == declared.name), None)
        if not isinstance(value.owner, ParameterOp) or parameter_of(value).rpartition(".")[2] != attribute:
            return False
    return True


def _laid_out_for(op: Op) -> bool:
    """Whether the op's tensors stand as the layers take them: (batch, channel, ...), sequences last."""
    if isinstance(op, FakeQuantize):
        return True
    if isinstance(op, Embedding):
        return Role.UNIT in op.token.type.roles and op.token.type.roles.index(Role.UNIT) == 1
    if isinstance(op, Conv2d):
        x = op.x.type
        places = (channel_axis(x), height_axis(x), width_axis(x))
        moves = (*op.stride, *op.weight.type.shape[2:]) != (1, 1, 1, 1) or any((*op.pad, *op.pad_feature))
        same = places[0] == 1 and not moves  # of a frame alone: which other axis is which makes no difference
        return x.rank == 4 and (same or places == (1, 2, 3))
    x = next(op.present()).type
    last = not isinstance(op, (Cell, BatchNorm)) or x.sequence in (None, x.rank - 1)
    return laid_out(x) and last


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
    keywords: dict[str, Any] = {name: given[name] for name in LAYERS[type(op)].inputs[1:] if name in given}
    if isinstance(op, Conv2d) and isinstance(layer_op, Conv2d) and op.pad != layer_op.pad:
        keywords["pad"] = op.pad
    if valid is not None and op.padded() is not None:
        keywords["mask" if isinstance(op, Cell) else "valid"] = as_expression(valid)
    return call(Expression(module), given[LAYERS[type(op)].inputs[0]], **keywords)


def _switched(op: Op, operand: str, argument: str = "") -> list[str]:
    return [] if op.operand(operand) is not None else [f"{argument or operand}=False"]


def _stated(name: str, value: object, default: object) -> list[str]:
    """An argument where it differs from the layer's default."""
    return [] if value == default else [f"{name}={literal(value)}"]


def _convolution(op: Conv2d) -> list[str]:
    out, into, *kernel = op.weight.type.shape
    arguments = [str(into * op.groups), str(out)]
    if kernel != [1, 1]:
        arguments.append(literal(tuple(kernel)))
    arguments += _stated("stride", op.stride, (1, 1)) + _stated("dilation", op.dilation, (1, 1))
    arguments += _stated("groups", op.groups, 1) + _switched(op, "bias")
    return arguments + _stated("pad", op.pad, (0, 0)) + _stated("pad_feature", op.pad_feature, (0, 0))


def _linear(op: Linear) -> list[str]:
    out, into = op.weight.type.shape
    return [str(into), str(out), *_switched(op, "bias")]


def _norm(op: ChannelNorm) -> list[str]:
    x = op.x.type
    epsilon = _stated("eps", op.epsilon, 1e-5)
    switched = [text for name in ("weight", "bias") if name in _declared(op) for text in _switched(op, name)]
    return [str(x.extents[1].value), *epsilon, *switched]


def _embedding(op: Embedding) -> list[str]:
    return [str(extent) for extent in op.table.type.shape]


def _cell(op: Cell) -> list[str]:
    biases = [name for name in _declared(op) if name.startswith("bias")]
    sizes = [op.weight_ih.type.shape[1], op.weight_hh.type.shape[1]]
    return [*map(str, sizes), *(text for name in biases for text in _switched(op, name))]


def _declared(op: Op) -> list[str]:
    return [declared.name for declared in op.fields]


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


STATISTICS = {"running_mean": "mean", "running_var": "variance"}
LAYERS: dict[type[Op], LayerClass] = {
    Conv2d: LayerClass("Conv2d", _same("weight", "bias"), ("x",), _convolution),
    Linear: LayerClass("Linear", _same("weight", "bias"), ("x",), _linear),
    LayerNorm: LayerClass("LayerNorm", _same("weight", "bias"), ("x",), _norm),
    RmsNorm: LayerClass("RMSNorm", _same("weight"), ("x",), _norm),
    BatchNorm: LayerClass("BatchNorm", STATISTICS | _same("weight", "bias"), ("x",), _norm),
    Embedding: LayerClass("Embedding", {"weight": "table"}, ("token",), _embedding),
    FakeQuantize: LayerClass("ActivationQuantizer", _same("scale"), ("x",), lambda op: []),
    Lstm: LayerClass("LSTM", _same("weight_ih", "weight_hh", "bias"), ("x", "h", "c", "mask"), _cell),
    Gru: LayerClass("GRU", _same("weight_ih", "weight_hh", "bias_ih", "bias_hh"), ("x", "h", "mask"), _cell),
}
