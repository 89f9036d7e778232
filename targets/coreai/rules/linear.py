"""Matrix product, and the embedding where it stays a gather."""

from __future__ import annotations

from coreai import authoring as ca

from mctc.emit.laid_out import count_ids
from mctc.emit.rules import Rules
from mctc.ir.ops.linear import Embedding, MatMul
from mctc.ir.program import Value
from mctc.targets.coreai.function import FunctionEmitter, Result
from mctc.targets.coreai.rules.operands import signed, unsigned

RULES = Rules[FunctionEmitter, Result]()


@RULES.of(MatMul)
def _matmul(op: MatMul, e: FunctionEmitter) -> Result:
    left, right = op.left, op.right
    alike = left.type.shape[:-2] == right.type.shape[:-2]
    multiply = ca.batch_matmul if alike else ca.broadcasting_batch_matmul
    rank = left.type.rank
    turns = (op.transpose_left, op.transpose_right)
    factors = [_turned(value, rank, turn, e) for value, turn in zip((left, right), turns)]
    if left.type.shape[-2 if turns[0] else -1] == 1:  # the runtime turns such a product of a reshaped factor over: docs
        multiply = ca.broadcasting_mul
    return multiply(*factors)


def _turned(value: Value, rank: int, turn: bool, e: FunctionEmitter) -> ca.Value:
    """An operand of a product with `rank` axes, the last two of them exchanged if need be."""
    written = e.shaped(value, (1,) * (rank - value.type.rank) + value.type.shape)
    return ca.transpose(written, unsigned([*range(rank - 2), rank - 1, rank - 2])) if turn else written


@RULES.of(Embedding)
def _embedding(op: Embedding, e: FunctionEmitter) -> Result:
    count = count_ids(op)
    rows = ca.gather_nd(e.ref(op.table), ca.reshape(e.ref(op.token), signed((count, 1))))
    if count > 1:
        rows = ca.transpose(rows, unsigned((1, 0)))
    return ca.reshape(rows, signed(op.result.type.shape))
