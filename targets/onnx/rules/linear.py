"""Dense projections, matrix product, embedding and positions."""

from __future__ import annotations

from mctc.emit.rules import Rules
from mctc.ir.ops.linear import Embedding, Linear, MatMul, channel_axis
from mctc.ir.ops.position import PositionalEmbedding
from mctc.ir.ops.shape import laid_out
from mctc.ir.types import Role
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.attention import positions
from mctc.targets.onnx.rules.axes import inverse, order_to

RULES = Rules[GraphEmitter, Result]()


@RULES.of(Linear)
def _linear(op: Linear, e: GraphEmitter) -> str:
    x, weight, bias = op.x, op.weight, op.bias
    order = order_to(x.type.rank, [channel_axis(op.x.type)], [-1])
    name = e.transposed(e.ref(x), order)
    y = e.node("MatMul", name, e.transposed(e.ref(weight), [1, 0]))
    y = y if bias is None else e.node("Add", y, e.ref(bias))
    return e.transposed(y, inverse(order))


@RULES.of(MatMul)
def _matmul(op: MatMul, e: GraphEmitter) -> str:
    names = []
    for value, turned in ((op.left, op.transpose_left), (op.right, op.transpose_right)):
        order = list(range(value.type.rank))
        if turned:
            order[-2:] = order[-1], order[-2]
        names.append(e.transposed(e.ref(value), order))
    return e.node("MatMul", *names)


@RULES.of(Embedding)
def _embedding(op: Embedding, e: GraphEmitter) -> str:
    token, table = op.token, op.table
    if Role.UNIT not in token.type.roles:
        return e.node("Gather", e.ref(table), e.ref(token), axis=0)
    at = token.type.roles.index(Role.UNIT)
    rows = e.node("Gather", e.ref(table), e.node("Squeeze", e.ref(token), e.ints([at])), axis=0)
    return e.transposed(rows, order_to(token.type.rank, [-1], [at]))


@RULES.of(PositionalEmbedding)
def _positional_embedding(op: PositionalEmbedding, e: GraphEmitter) -> str:
    """As many rows as x has frames, each axis where x has it."""
    x, table = op.x, op.table
    assert x.type.sequence is not None
    if op.cyclic:
        rows = e.node("Gather", e.ref(table), e.node("Mod", positions(x, e), e.ints([table.type.shape[0]])), axis=0)
    else:
        frames = e.sizes.size(x.type.extents[x.type.sequence])
        rows = e.node("Slice", e.ref(table), e.ints([0]), frames, e.ints([0]))
    at = channel_axis(op.x.type)
    if at < x.type.sequence:
        rows = e.transposed(rows, [1, 0])
    others = [i for i in range(x.type.rank) if i not in (at, x.type.sequence)] if laid_out(x.type) else []
    return e.node("Unsqueeze", rows, e.ints(others)) if others else rows
