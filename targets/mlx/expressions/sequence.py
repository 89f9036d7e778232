"""Ops along the sequence axis: convolution, recurrent cells, scans, attention. Frames stand before the channels."""

from __future__ import annotations

from collections.abc import Callable

from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.op import Op
from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.convolution import Conv1d, Conv2d, height_axis, width_axis
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.ssd import Ssd
from mctc.targets.mlx.expressions.spelling import spelled
from mctc.targets.torch.associations_op import Associations
from mctc.targets.torch.expressions.application import Application, spaced
from mctc.targets.torch.expressions.sequence import heads_and_scores
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named

RULES = Rules[Application, Expression]()
CONV1D, CONV2D = (0, 2, 1), (0, 3, 2, 1)  # what order of a kernel's axes MLX has: outputs, frames, features, inputs


def on_frames(use: Application, x: Expression, function: Callable[[Expression], Expression]) -> Expression:
    """`function` of x, whose frames it takes next to the channels: between labels they are moved there and back."""
    type_ = use.type("x")
    at = type_.sequence
    if at is None or use.channel() != type_.rank - 1:
        raise UnsupportedError(f"x is {type_}, where the mlx target takes frames, and channels last")
    if at == type_.rank - 2:
        return function(x)
    return spelled(function(spelled(x).method("movedim", at, -2))).method("movedim", -2, at)


@RULES.of(Conv1d)
def _conv1d(op: Conv1d, use: Application) -> Expression:
    weight = spelled(use["weight"]).method("permute", *CONV1D)

    def convolved(x: Expression) -> Expression:
        return _convolution(op, use, "conv1d", x, weight, op.stride, op.dilation, (op.pad,))

    return on_frames(use, use["x"], convolved)


@RULES.of(Conv2d)
def _conv2d(op: Conv2d, use: Application) -> Expression:
    type_ = use.type("x")
    if type_.rank != 4 or (width_axis(type_), height_axis(type_), use.channel()) != (1, 2, 3):
        raise UnsupportedError(f"x is {type_}, where the mlx target convolves (batch, frames, features, channels)")
    weight = spelled(use["weight"]).method("permute", *CONV2D)
    stride, dilation = spaced(op.stride[::-1]), spaced(op.dilation[::-1])
    return _convolution(op, use, "conv2d", use["x"], weight, stride, dilation, (op.pad, op.pad_feature))


def _convolution(
    op: Conv1d | Conv2d,
    use: Application,
    function: str,
    x: Expression,
    weight: Expression,
    stride: object,
    dilation: object,
    pads: tuple[tuple[int, int], ...],
) -> Expression:
    keywords: dict[str, object] = {} if stride == 1 else {"stride": stride}
    keywords |= {} if dilation == 1 else {"dilation": dilation}
    keywords |= {} if op.groups == 1 else {"groups": op.groups}
    keywords |= {"pads": pads} if any(map(any, pads)) else {}
    return call(named(function), x, weight, *use.given("bias").values(), **keywords)


@RULES.of(Lstm, Gru)
def _cell(op: Cell, use: Application) -> Expression:
    type_ = use.type("x")
    axis = {} if type_.sequence == type_.rank - 2 else {"axis": type_.sequence}
    optional = use.given(*(o.name for o in op.fields if o.optional and not o.marks))
    weights = (use["weight_ih"], use["weight_hh"])
    return call(named(op.name), use["x"], *weights, **optional, **use.given("mask"), **axis)


@RULES.of(SelectiveScan)
def _selective_scan(op: SelectiveScan, use: Application) -> Expression:
    return _scan(op, use, use["A"])


@RULES.of(Ssd)
def _ssd(op: Ssd, use: Application) -> Expression:
    own = {} if op.diagonal is None else {"diagonal": _existing(use, "diagonal")}
    decay = use["A"] if op.A.type.rank == 1 else _existing(use, "A")
    return _scan(op, use, decay, **own, **({"groups": op.groups} if op.groups > 1 else {}))


def _scan(op: Op, use: Application, a: Expression, **others: int | Expression) -> Expression:
    skip = [use["D"]] if use.optional("D") is not None else []
    operands = [use["x"], _existing(use, "delta"), a, use["B"], use["C"], *skip]
    return call(named(op.name), *operands, **use.given("h"), **others)


@RULES.of(Associations)
def _associations(op: Associations, use: Application) -> Expression:
    optional = use.given("log_decay", "into", "of", "h")
    return call(named(op.name), use["query"], use["key"], use["value"], **optional)


def _existing(use: Application, operand: str) -> Expression:
    """0 in a frame that does not exist: a step size or log decay of 0 leaves the state as it was."""
    value, mask = use[operand], use.optional("mask")
    if mask is None:
        return value
    column = mask.atom if use.type("mask").rank == use.type("x").rank else f"{mask.atom}[..., None]"
    return binary(value, "*", Expression(column, mask.imports), Binds.PRODUCT)


@RULES.of(Attention)
def _attention(op: Attention, use: Application) -> Expression:
    return _attended(op, use, [use["q"], use["k"], use["v"]], heads_and_scores(op, use))


@RULES.of(RelativeAttention)
def _relative_attention(op: RelativeAttention, use: Application) -> Expression:
    keywords: dict[str, object] = {"heads": op.heads}
    keywords |= {} if op.scale is None else {"scale": op.scale}
    keywords |= {"symmetric": True} if op.symmetric else {}
    keywords |= use.given("table")
    names = ("q", "k", "v", "position", "content_bias", "position_bias")
    return _attended(op, use, [use[name] for name in names], keywords)


def _attended(op: OverKeys, use: Application, operands: list[Expression], keywords: dict[str, object]) -> Expression:
    """Which keys a query sees, and where frames stand: between labels and channels they are moved there and back."""
    sides = (("left", op.left), ("right", op.right), ("within", op.within), ("before", op.before or None))
    keywords |= {name: side for name, side in sides if side is not None}
    keywords |= {"given": True} if op.given else {}
    keywords |= use.given("key_mask")
    moved = []
    for name, x in zip("qkv", operands):
        at, type_ = use.type(name).sequence, use.type(name)
        assert at is not None, "inference gives attention sequences"
        moved.append(x if at == type_.rank - 2 else spelled(x).method("movedim", at, -2))
    y, at = call(named(op.name), *moved, *operands[3:], **keywords), use.type("q").sequence
    return y if at == use.type("q").rank - 2 else spelled(y).method("movedim", -2, at)
