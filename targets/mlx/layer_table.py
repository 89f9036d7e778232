"""Which ops a layer of mlx.nn or runtime/layers.py holds with their parameters, and how to construct and call it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mctc.ir.ops.convolution import Conv1d, Conv2d, height_axis, width_axis
from mctc.ir.ops.linear import Embedding, Linear
from mctc.ir.ops.norm import BatchNorm, LayerNorm, RmsNorm
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.program import Op
from mctc.targets.torch.expressions.text import Expression, as_expression, call, literal
from mctc.targets.torch.layer_table import STATISTICS, LayerClass, holds


def layer_of(op: Op) -> LayerClass | None:
    """The layer that can hold this op, or None: its tensors stand as the layer takes them, and it `holds` what is
    given."""
    layer, fits = LAYERS.get(type(op)), FITS.get(type(op), channels_last)
    return layer if layer is not None and fits(op) and holds(layer, op) else None


def channels_last(op: Op) -> bool:
    x = next(op.present()).type
    return bool(x.rank) and x.roles[-1].is_channel


def _along_frames(op: Op) -> bool:
    x = next(op.present()).type
    return channels_last(op) and x.sequence == x.rank - 2


def _planes(op: Op) -> bool:
    assert isinstance(op, Conv2d)
    x = op.x.type
    return x.rank == 4 and (width_axis(x), height_axis(x)) == (1, 2) and channels_last(op)


def _weighted(op: Op) -> bool:
    """mlx.nn's norms have no form with a bias alone, or of RMSNorm and BatchNorm without a weight."""
    bare = op.operand("weight") is None
    return channels_last(op) and not (bare and (not isinstance(op, LayerNorm) or op.bias is not None))


def _paired(op: Op) -> bool:
    return channels_last(op) and op.operand("weight") is not None and op.operand("bias") is not None


def layer_call(built: Op, op: Op, module: str, operands: Sequence[Expression | str | None]) -> Expression:
    """The call of `module`, made for `built`, that computes `op`: the same op in `__call__` or in a step, which hands a
    convolution its context and passes other padding."""
    given = {field.name: as_expression(value) for field, value in zip(op.fields, operands) if value is not None}
    inputs = LAYERS[type(op)].inputs
    keywords: dict[str, object] = {name: given[name] for name in inputs[1:] if name in given}
    if isinstance(op, (Conv1d, Conv2d)) and isinstance(built, (Conv1d, Conv2d)) and op.pad != built.pad:
        keywords["pads"] = pads_of(op)
    return call(Expression(module), given[inputs[0]], **keywords)


def pads_of(op: Conv1d | Conv2d) -> tuple[tuple[int, int], ...]:
    """Zeros (before, after) along frames and, of two dimensions, features."""
    return (op.pad,) if isinstance(op, Conv1d) else (op.pad, op.pad_feature)


def _stated(name: str, value: object, default: object) -> list[str]:
    return [] if value == default else [f"{name}={literal(value)}"]


def _biased(op: Op) -> list[str]:
    return _stated("bias", op.operand("bias") is not None, True)


def _convolution(op: Conv1d | Conv2d) -> list[str]:
    out, into, *kernel = op.weight.type.shape
    flat = isinstance(op, Conv1d)
    one = 1 if flat else (1, 1)
    stride, dilation = (op.stride, op.dilation) if isinstance(op, Conv1d) else (op.stride[::-1], op.dilation[::-1])
    arguments = [str(into * op.groups), str(out), literal(kernel[0] if flat else tuple(kernel[::-1]))]
    arguments += _stated("stride", stride, one) + _stated("dilation", dilation, one)
    none = ((0, 0),) * len(pads_of(op))
    return arguments + _stated("groups", op.groups, 1) + _biased(op) + _stated("pads", pads_of(op), none)


def _linear(op: Linear) -> list[str]:
    out, into = op.weight.type.shape
    return [str(into), str(out), *_biased(op)]


def _norm(op: LayerNorm | RmsNorm | BatchNorm) -> list[str]:
    arguments = [str(op.x.type.extents[-1].value), *_stated("eps", op.epsilon, 1e-5)]
    if isinstance(op, LayerNorm):
        bare = op.weight is None
        return arguments + _stated("affine", not bare, True) + ([] if bare else _biased(op))
    return arguments


def _embedding(op: Embedding) -> list[str]:
    return [str(extent) for extent in op.table.type.shape]


def _cell(op: Cell) -> list[str]:
    biases = [field.name for field in op.fields if field.name.startswith("bias")]
    sizes = [str(op.weight_ih.type.shape[1]), str(op.weight_hh.type.shape[1])]
    return sizes + [text for name in biases for text in _stated(name, op.operand(name) is not None, True)]


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


BOTH = _same("weight", "bias")
LAYERS: dict[type[Op], LayerClass] = {
    Conv1d: LayerClass("Conv1d", BOTH, ("x",), _convolution),
    Conv2d: LayerClass("Conv2d", BOTH, ("x",), _convolution),
    Linear: LayerClass("nn.Linear", BOTH, ("x",), _linear),
    LayerNorm: LayerClass("nn.LayerNorm", BOTH, ("x",), _norm),
    RmsNorm: LayerClass("nn.RMSNorm", _same("weight"), ("x",), _norm),
    BatchNorm: LayerClass("nn.BatchNorm", STATISTICS | BOTH, ("x",), _norm),
    Embedding: LayerClass("nn.Embedding", {"weight": "table"}, ("token",), _embedding),
    Lstm: LayerClass("LSTM", _same("weight_ih", "weight_hh", "bias"), ("x", "h", "c", "mask"), _cell),
    Gru: LayerClass("GRU", _same("weight_ih", "weight_hh", "bias_ih", "bias_hh"), ("x", "h", "mask"), _cell),
}
FITS: dict[type[Op], Callable[[Op], bool]] = {
    Conv1d: _along_frames,
    Conv2d: _planes,
    LayerNorm: _weighted,
    RmsNorm: _weighted,
    BatchNorm: _paired,
    Embedding: lambda op: True,
    Lstm: _along_frames,
    Gru: _along_frames,
}
