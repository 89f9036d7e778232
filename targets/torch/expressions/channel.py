"""Ops over the channels or another axis of each frame: products, tables, norms, softmax, reductions."""

from __future__ import annotations

import math

from mctc.emit.rules import Rules
from mctc.ir.ops.linear import Embedding, Linear, MatMul
from mctc.ir.ops.norm import BatchNorm, ChannelNorm, LayerNorm, LogSoftmax, RmsNorm, Softmax, Softmaxes
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.reduce import Reduce
from mctc.ir.ops.shape import laid_out
from mctc.ir.types import Role, TensorType
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named

RULES, MASKING = Rules[Application, Expression](), Rules[Application, Expression]()


def masked(use: Application, operand: str, value: float = 0.0) -> Expression:
    """The operand with `value` in the frames that do not exist; the operand itself where all do."""
    return use[operand] if use.valid is None else filled(use[operand], use.type(operand), use.valid, value)


def filled(x: Expression, type_: TensorType, valid: Expression, value: float) -> Expression:
    """x, of this type, with `value` in the frames that do not exist."""
    axis = type_.sequence
    assert axis is not None, "only a sequence has frames that do not exist"
    keywords: dict[str, object] = {"value": value} if value else {}
    return call(named("masked"), x, valid, **keywords, **({} if axis == type_.rank - 1 else {"axis": axis}))


def on_axis(use: Application, wanted: int, function: str, *arguments: object, **keywords: object) -> Expression:
    """`function` of x, which takes its channels at axis `wanted` (1 or -1), whichever axis of x they are."""
    at, x = use.channel(), use["x"]
    if at == wanted % use.type("x").rank:
        return call(named(function), x, *arguments, **keywords)
    moved = x.method("movedim", at, wanted)
    return call(named(function), moved, *arguments, **keywords).method("movedim", wanted, at)


@RULES.of(Linear)
def _linear(op: Linear, use: Application) -> Expression:
    return on_axis(use, -1, "F.linear", use["weight"], *use.given("bias").values())


@RULES.of(Embedding)
def _embedding(op: Embedding, use: Application) -> Expression:
    token, roles = use["token"], use.type("token").roles
    if Role.UNIT not in roles:
        return call(named("F.embedding"), token, use["table"])
    at = roles.index(Role.UNIT)  # the channels take its place
    return call(named("F.embedding"), token.method("squeeze", at), use["table"]).method("movedim", -1, at)


@RULES.of(PositionalEmbedding)
def _positional_embedding(op: PositionalEmbedding, use: Application) -> Expression:
    """As many rows as x has frames, each axis where x has it."""
    type_, at = use.type("x"), use.channel()
    sequence = type_.sequence
    assert sequence is not None, "inference gives positional_embedding a sequence"
    size = Expression(f"{use['x'].atom}.shape[{sequence}]")
    table = use["table"]
    if op.cyclic:
        count = use.type("table").shape[0]
        table = table.method("repeat", Expression(f"-(-{size} // {count})"), 1)
    rows = Expression(f"{table.atom}[:{size}]", table.imports | use["x"].imports)
    if at < sequence:
        rows = Expression(f"{rows}.mT", rows.imports)
    if not laid_out(type_):
        return rows
    index = [":" if i in (sequence, at) else "None" for i in range(type_.rank)]
    return Expression(f"{rows}[{', '.join(index)}]", rows.imports)


@RULES.of(MatMul)
def matmul(op: MatMul, use: Application) -> Expression:
    """left @ right, either one transposed where the op says so: torch's and MLX's arrays both have `mT`."""
    left, right = (use[name] for name in ("left", "right"))
    if op.transpose_left:
        left = Expression(f"{left.atom}.mT", left.imports)
    if op.transpose_right:
        right = Expression(f"{right.atom}.mT", right.imports)
    return binary(left, "@", right, Binds.PRODUCT)


@RULES.of(LayerNorm, RmsNorm)
def _norm(op: ChannelNorm, use: Application) -> Expression:
    """layer_norm and rms_norm: torch's over the last axis, functional.py's over axis 1."""
    vectors = list(use.operands[1:])
    while vectors and vectors[-1] is None:
        vectors.pop()
    epsilon = {} if op.epsilon == 1e-5 else {"eps": op.epsilon}
    at, type_ = use.channel(), use.type("x")
    if at == type_.rank - 1:
        shape = (type_.extents[at].value,)
        stated = {"eps": op.epsilon} if isinstance(op, RmsNorm) else epsilon  # torch's own is that of the dtype
        return call(named(f"F.{op.name}"), use["x"], shape, *vectors, **stated)
    axis = {} if at == 1 else {"axis": at}
    return call(named(op.name), use["x"], *vectors, **epsilon, **axis)


@MASKING.of(BatchNorm)
def _batch_norm(op: BatchNorm, use: Application) -> Expression:
    epsilon = {} if op.epsilon == 1e-5 else {"eps": op.epsilon}
    return on_axis(use, 1, "batch_norm_at_rest", use["mean"], use["variance"], **use.given("weight", "bias"), **epsilon)


@MASKING.of(Softmax, LogSoftmax)
def _softmax(op: Softmaxes, use: Application) -> Expression:
    x = masked(use, "x", -math.inf) if op.position == use.type("x").sequence else use["x"]
    return x.method(op.name, dim=op.position)


EXTREMES = {"reduce_max": ("amax", -math.inf), "reduce_min": ("amin", math.inf)}


def _extreme(op: Reduce, use: Application) -> Expression:
    method, padding = EXTREMES[op.name]
    return masked(use, "x", padding).method(method, dim=op.position, keepdim=True)


def _sum(op: Reduce, use: Application) -> Expression:
    return masked(use, "x").method("sum", dim=op.position, keepdim=True)


def _mean(op: Reduce, use: Application) -> Expression:
    if use.valid is None:
        return use["x"].method("mean", dim=op.position, keepdim=True)
    last = use.type("x").rank - 1
    return call(named("masked_mean"), use["x"], use.valid, **({} if op.position == last else {"axis": op.position}))


MASKING |= {"reduce_sum": _sum, "reduce_mean": _mean, **dict.fromkeys(EXTREMES, _extreme)}
