"""Ops over the channels or another axis of each frame: products, tables, norms, softmax, reductions."""

from __future__ import annotations

import math

from mctc.ir.ops.shape import laid_out
from mctc.ir.types import Role
from mctc.targets.torch.expressions.application import Application, Rule
from mctc.targets.torch.expressions.text import Binds, Expression, binary, call, named


def masked(use: Application, operand: str, value: float = 0.0) -> Expression:
    """The operand with `value` in the frames that do not exist; the operand itself where all do."""
    if use.valid is None:
        return use[operand]
    type_ = use.type(operand)
    axis = type_.sequence
    assert axis is not None, "only a sequence has frames that do not exist"
    keywords: dict[str, object] = {"value": value} if value else {}
    return call(
        named("masked"), use[operand], use.valid, **keywords, **({} if axis == type_.rank - 1 else {"axis": axis})
    )


def on_axis(use: Application, wanted: int, function: str, *arguments: object, **keywords: object) -> Expression:
    """`function` of x, which takes its channels at axis `wanted` (1 or -1), whichever axis of x they are."""
    at, x = use.channel(), use["x"]
    if at == wanted % use.type("x").rank:
        return call(named(function), x, *arguments, **keywords)
    moved = x.method("movedim", at, wanted)
    return call(named(function), moved, *arguments, **keywords).method("movedim", wanted, at)


def _linear(use: Application) -> Expression:
    return on_axis(use, -1, "F.linear", use["weight"], *use.given("bias").values())


def _embedding(use: Application) -> Expression:
    token, roles = use["token"], use.type("token").roles
    if Role.UNIT not in roles:
        return call(named("F.embedding"), token, use["table"])
    at = roles.index(Role.UNIT)  # the channels take its place
    return call(named("F.embedding"), token.method("squeeze", at), use["table"]).method("movedim", -1, at)


def _positional_embedding(use: Application) -> Expression:
    """As many rows as x has frames, each axis where x has it."""
    type_, at = use.type("x"), use.channel()
    sequence = type_.sequence
    assert sequence is not None, "inference gives positional_embedding a sequence"
    size = Expression(f"{use['x'].atom}.shape[{sequence}]")
    table = use["table"]
    if use.attribute("cyclic"):
        count = use.type("table").shape[0]
        table = table.method("repeat", Expression(f"-(-{size} // {count})"), 1)
    rows = Expression(f"{table.atom}[:{size}]", table.imports | use["x"].imports)
    if at < sequence:
        rows = Expression(f"{rows}.mT", rows.imports)
    if not laid_out(type_):
        return rows
    index = [":" if i in (sequence, at) else "None" for i in range(type_.rank)]
    return Expression(f"{rows}[{', '.join(index)}]", rows.imports)


def _matmul(use: Application) -> Expression:
    left, right = (use[name] for name in ("left", "right"))
    if use.attribute("transpose_left"):
        left = Expression(f"{left.atom}.mT", left.imports)
    if use.attribute("transpose_right"):
        right = Expression(f"{right.atom}.mT", right.imports)
    return binary(left, "@", right, Binds.PRODUCT)


def _norm(use: Application) -> Expression:
    """layer_norm and rms_norm: torch's over the last axis, functional.py's over axis 1."""
    vectors = list(use.operands[1:])
    while vectors and vectors[-1] is None:
        vectors.pop()
    epsilon = {} if use.attribute("epsilon") == 1e-5 else {"eps": use.attribute("epsilon")}
    at, type_ = use.channel(), use.type("x")
    if at == type_.rank - 1:
        shape = (type_.extents[at].value,)
        stated = epsilon if use.op.name == "layer_norm" else {"eps": use.attribute("epsilon")}  # rms_norm: dtype's eps
        return call(named(f"F.{use.op.name}"), use["x"], shape, *vectors, **stated)
    axis = {} if at == 1 else {"axis": at}
    return call(named(use.op.name), use["x"], *vectors, **epsilon, **axis)


def _batch_norm(use: Application) -> Expression:
    epsilon = {} if use.attribute("epsilon") == 1e-5 else {"eps": use.attribute("epsilon")}
    return on_axis(use, 1, "F.batch_norm", use["mean"], use["variance"], **use.given("weight", "bias"), **epsilon)


def _softmax(use: Application) -> Expression:
    x = masked(use, "x", -math.inf) if use.axis() == use.type("x").sequence else use["x"]
    return x.method(use.op.name, dim=use.axis())


EXTREMES = {"reduce_max": ("amax", -math.inf), "reduce_min": ("amin", math.inf)}


def _extreme(use: Application) -> Expression:
    method, padding = EXTREMES[use.op.name]
    return masked(use, "x", padding).method(method, dim=use.axis(), keepdim=True)


def _sum(use: Application) -> Expression:
    return masked(use, "x").method("sum", dim=use.axis(), keepdim=True)


def _mean(use: Application) -> Expression:
    if use.valid is None:
        return use["x"].method("mean", dim=use.axis(), keepdim=True)
    last = use.type("x").rank - 1
    return call(named("masked_mean"), use["x"], use.valid, **({} if use.axis() == last else {"axis": use.axis()}))


CHANNEL: dict[str, Rule] = {
    "linear": _linear,
    "embedding": _embedding,
    "positional_embedding": _positional_embedding,
    "matmul": _matmul,
    "layer_norm": _norm,
    "rms_norm": _norm,
    "batch_norm": _batch_norm,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "reduce_sum": _sum,
    "reduce_mean": _mean,
    "reduce_max": _extreme,
    "reduce_min": _extreme,
}
