"""Ops along the sequence axis of laid-out tensors: convolution, recurrent cells, the selective scan, attention."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.op import Op
from mctc.ir.ops.attention import Attention, OverKeys
from mctc.ir.ops.convolution import Conv1d, Conv2d, height_axis, width_axis
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.ops.relative_attention import RelativeAttention
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import laid_out
from mctc.ir.ops.ssd import Ssd
from mctc.targets.torch.associations_op import Associations
from mctc.targets.torch.expressions.application import Application, spaced
from mctc.targets.torch.expressions.channel import masked
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named

MASKING = Rules[Application, Expression]()


def _last_axis(use: Application, operand: str = "x") -> dict[str, int]:
    """Which axis a function of functional.py runs along, where that is not the last."""
    type_ = use.type(operand)
    axis = type_.sequence
    if axis is None or not laid_out(type_):
        raise UnsupportedError(
            f"{use.op.name} on {type_}: the torch target takes sequences laid out as (batch, channel, ..., time); "
            "run the channels-first pass before it"
        )
    return {} if axis == type_.rank - 1 else {"axis": axis}


@MASKING.of(Conv1d)
def _conv1d(op: Conv1d, use: Application) -> Expression:
    """Only before the channels-first pass. Channels and frames go to the last two axes, where torch has them."""
    type_, channel = use.type("x"), use.channel()
    time, last = type_.sequence, (type_.rank - 2, type_.rank - 1)
    assert time is not None, "inference gives conv1d a sequence"
    if type_.rank > 3:
        raise UnsupportedError(f"conv1d on {type_}: run the channels-first pass before it, which makes it a conv2d")
    x = masked(use, "x")
    if (channel, time) != last:
        x = x.method("movedim", (channel, time), last)
    y = _convolution(op, use, "F.conv1d", x, (op.pad,), (op.stride,), (op.dilation,), use["weight"])
    return y if (channel, time) == last else y.method("movedim", last, (channel, time))


@MASKING.of(Conv2d)
def _conv2d(op: Conv2d, use: Application) -> Expression:
    type_ = use.type("x")
    places = (use.channel(), height_axis(type_), width_axis(type_))
    pads, stride, dilation = (op.pad_feature, op.pad), op.stride, op.dilation
    weight, x = use["weight"], masked(use, "x")
    if places == (1, 3, 2):  # labels are rows in a component that has time as well
        pads, stride, dilation = pads[::-1], stride[::-1], dilation[::-1]
        weight = weight if use.type("weight").shape[2:] == (1, 1) else Expression(f"{weight.atom}.mT", weight.imports)
    elif type_.rank != 4:
        raise UnsupportedError(f"conv2d on {type_}: torch takes four axes; run the channels-first pass before it")
    elif places != (1, 2, 3):
        x = x.method("movedim", places, (1, 2, 3))
    y = _convolution(op, use, "F.conv2d", x, pads, stride, dilation, weight)
    return y if places[0] == 1 else y.method("movedim", (1, 2, 3), places)


def _convolution(
    op: Conv1d | Conv2d,
    use: Application,
    function: str,
    x: Expression,
    pads: tuple[tuple[int, int], ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    weight: Expression,
) -> Expression:
    """`pads` are (before, after) of each axis, first to last. Unequal ones need F.pad, whose order is last to first.

    A constant bias is added outside: torch's convolution takes one type, and FSDP leaves constants in fp32.
    """
    keywords: dict[str, object] = {}
    if set(stride) != {1}:
        keywords["stride"] = spaced(stride)
    if all(before == after for before, after in pads):
        if any(before for before, _ in pads):
            keywords["padding"] = spaced([before for before, _ in pads])
    else:
        widths = [tuple(pair) for pair in pads]
        while widths[0] == (0, 0):
            widths.pop(0)
        x = call(named("F.pad"), x, tuple(side for pair in widths[::-1] for side in pair))
    if set(dilation) != {1}:
        keywords["dilation"] = spaced(dilation)
    if op.groups != 1:
        keywords["groups"] = op.groups
    bias = use.optional("bias")
    if bias is None or op.bias is None or not isinstance(op.bias.owner, Constant):
        return call(named(function), x, weight, *use.given("bias").values(), **keywords)
    shaped = Expression(f"{bias.atom}[:{', None' * len(pads)}]", bias.imports)
    return binary(call(named(function), x, weight, **keywords), "+", shaped, Binds.SUM)


@MASKING.of(Lstm, Gru)
def _cell(op: Cell, use: Application) -> Expression:
    """lstm and gru; the mask of the author's own is laid out as x, `valid` is (B, S)."""
    weights = [use["x"], use["weight_ih"], use["weight_hh"]]
    optional = use.given(*(o.name for o in op.fields if o.optional and not o.marks))
    return call(named(op.name), *weights, **optional, **_mask(use), **_last_axis(use))


def _mask(use: Application) -> dict[str, Expression]:
    mask = use.optional("mask")
    if mask is not None and use.valid is not None:
        rows = mask if use.type("mask").rank == 1 else mask.method("flatten", 1)
        return {"mask": binary(rows, "*", use.valid, Binds.PRODUCT)}
    given = mask or use.valid
    return {} if given is None else {"mask": given}


@MASKING.of(SelectiveScan)
def _selective_scan(op: SelectiveScan, use: Application) -> Expression:
    return _scan(op, use, use["A"])


@MASKING.of(Ssd)
def _ssd(op: Ssd, use: Application) -> Expression:
    given = use.optional("diagonal")
    own = {} if given is None else {"diagonal": _existing(use, "diagonal")}
    decay = use["A"] if op.A.type.rank == 1 else _existing(use, "A")
    return _scan(op, use, decay, **own, **({"groups": op.groups} if op.groups > 1 else {}))


def _scan(op: Op, use: Application, a: Expression, **others: int | Expression) -> Expression:
    type_ = use.type("x")
    if _last_axis(use) or type_.rank != 4 or type_.extents[2].value != 1:
        raise UnsupportedError(
            f"{op.name} on {type_}: it takes (batch, channel, 1, time); a scan along the labels of a component "
            "that also has time belongs into a component of its own"
        )
    skip = [use["D"]] if use.optional("D") is not None else []
    operands = [use["x"], _existing(use, "delta"), a, use["B"], use["C"], *skip]
    return call(named(op.name), *operands, **use.given("h"), **others)


def _existing(use: Application, operand: str) -> Expression:
    """0 in a frame that does not exist: a step size or log decay of 0 leaves the state as it was."""
    value, mask = masked(use, operand), use.optional("mask")
    return value if mask is None else binary(value, "*", mask, Binds.PRODUCT)


@MASKING.of(Associations)
def _associations(op: Associations, use: Application) -> Expression:
    optional = use.given("log_decay", "into", "of", "h")
    return call(named(op.name), use["query"], use["key"], use["value"], **optional)


@MASKING.of(Attention)
def _attention(op: Attention, use: Application) -> Expression:
    return call(named("attention"), use["q"], use["k"], use["v"], **heads_and_scores(op, use), **_view(op, use))


def heads_and_scores(op: Attention, use: Application) -> dict[str, object]:
    """What an attention is told of its heads and scores, where it isn't the usual."""
    keywords: dict[str, object] = {"heads": op.heads}
    if op.kv_heads not in (0, op.heads):
        keywords["kv_heads"] = op.kv_heads
    keywords |= {"scale": op.scale} if op.scale is not None else {}
    keywords |= use.given("bias")
    return keywords


@MASKING.of(RelativeAttention)
def _relative_attention(op: RelativeAttention, use: Application) -> Expression:
    keywords: dict[str, object] = {"heads": op.heads}
    if op.scale is not None:
        keywords["scale"] = op.scale
    if op.symmetric:
        keywords["symmetric"] = True
    keywords |= use.given("table")
    operands = [use[name] for name in ("q", "k", "v", "position", "content_bias", "position_bias")]
    return call(named("relative_attention"), *operands, **keywords, **_view(op, use))


def _view(op: OverKeys, use: Application) -> dict[str, object]:
    """Which keys a query of attention sees, and where the frames stand."""
    keywords: dict[str, object] = {}
    sides = (("left", op.left), ("right", op.right), ("within", op.within), ("before", op.before or None))
    keywords |= {name: side for name, side in sides if side is not None}
    if op.given:
        keywords["given"] = True
    keywords |= use.given("key_mask")
    if use.valid is not None:
        keywords["valid"] = use.valid
    keywords |= _last_axis(use, "q")
    return keywords | {f"key_{name}": axis for name, axis in _last_axis(use, "k").items()}
