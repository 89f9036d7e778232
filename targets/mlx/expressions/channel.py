"""Ops over the channels or another axis of each frame: products, tables, norms, softmax, reductions."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.linear import Embedding, Linear, MatMul
from mctc.ir.ops.norm import BatchNorm, ChannelNorm, LayerNorm, LogSoftmax, RmsNorm, Softmax, Softmaxes
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.reduce import Reduce
from mctc.targets.mlx.expressions.spelling import spelled
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.channel import matmul
from mctc.targets.torch.expressions.text import Expression, call, named

RULES = Rules[Application, Expression]()


def on_last(use: Application, function: str, *arguments: object) -> Expression:
    """`function` of x, whose channels it takes last."""
    at, x = use.channel(), use["x"]
    if at == use.type("x").rank - 1:
        return call(named(function), x, *arguments)
    return spelled(call(named(function), x.method("movedim", at, -1), *arguments)).method("movedim", -1, at)


@RULES.of(Linear)
def _linear(op: Linear, use: Application) -> Expression:
    return on_last(use, "linear", use["weight"], *use.given("bias").values())


@RULES.of(Embedding)
def _embedding(op: Embedding, use: Application) -> Expression:
    return Expression(f"{use['table'].atom}[{use['token'].text}]", use["table"].imports | use["token"].imports)


@RULES.of(PositionalEmbedding)
def _positional_embedding(op: PositionalEmbedding, use: Application) -> Expression:
    """As many rows as x has frames."""
    type_ = use.type("x")
    assert type_.sequence is not None, "inference gives positional_embedding a sequence"
    size = Expression(f"{use['x'].atom}.shape[{type_.sequence}]")
    table = use["table"]
    if op.cyclic:
        count = use.type("table").shape[0]
        table = call(named("mx.tile"), table, (Expression(f"-(-{size} // {count})"), 1))
    rows = Expression(f"{table.atom}[:{size}]", table.imports | use["x"].imports)
    return Expression(f"{rows}.T", rows.imports) if use.channel() < type_.sequence else rows


RULES.of(MatMul)(matmul)


@RULES.of(LayerNorm, RmsNorm)
def _norm(op: ChannelNorm, use: Application) -> Expression:
    return on_last(use, f"mx.fast.{op.name}", *use.operands[1:], op.epsilon)


@RULES.of(BatchNorm)
def _batch_norm(op: BatchNorm, use: Application) -> Expression:
    return on_last(use, "batch_norm", *use.operands[1:], op.epsilon)


SOFTMAX = {"softmax": "mx.softmax", "log_softmax": "nn.log_softmax"}


@RULES.of(Softmax, LogSoftmax)
def _softmax(op: Softmaxes, use: Application) -> Expression:
    return call(named(SOFTMAX[op.name]), use["x"], axis=op.position)


REDUCTIONS = {"reduce_max": "max", "reduce_min": "min", "reduce_sum": "sum", "reduce_mean": "mean"}


def _reduce(op: Reduce, use: Application) -> Expression:
    return Expression.method(use["x"], REDUCTIONS[op.name], axis=op.position, keepdims=True)


RULES |= dict.fromkeys(REDUCTIONS, _reduce)
