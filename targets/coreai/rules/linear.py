"""Matrix product, and the embedding where it stays a gather."""

from __future__ import annotations

from coreai import authoring as ca

from mctc.driver.names import place
from mctc.ir.program import Op, Value
from mctc.ir.types import Role
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.function import FunctionEmitter, Rule
from mctc.targets.coreai.rules.operands import operand, signed, unsigned


def _matmul(op: Op, e: FunctionEmitter) -> ca.Value:
    left, right = operand(op, 0), operand(op, 1)
    alike = left.type.shape[:-2] == right.type.shape[:-2]
    multiply = ca.batch_matmul if alike else ca.broadcasting_batch_matmul
    rank = left.type.rank
    turns = [bool(op.attributes[f"transpose_{side}"]) for side in ("left", "right")]
    factors = [_turned(value, rank, turn, e) for value, turn in zip((left, right), turns)]
    if left.type.shape[-2 if turns[0] else -1] == 1:  # the runtime turns such a product of a reshaped factor over: docs
        multiply = ca.broadcasting_mul
    return multiply(*factors)


def _turned(value: Value, rank: int, turn: bool, e: FunctionEmitter) -> ca.Value:
    """An operand of a product with `rank` axes, the last two of them exchanged if need be."""
    written = e.shaped(value, (1,) * (rank - value.type.rank) + value.type.shape)
    return ca.transpose(written, unsigned([*range(rank - 2), rank - 1, rank - 2])) if turn else written


def _embedding(op: Op, e: FunctionEmitter) -> ca.Value:
    token, table = operand(op, 0), operand(op, 1)
    count = token.type.size
    if Role.UNIT not in token.type.roles or max(token.type.shape) != count or token.type.roles.index(Role.UNIT) != 1:
        raise CoreAiError(f"{place(op)}: ids of type {token.type} can't be looked up; they must be (1, 1, 1, ids)")
    rows = ca.gather_nd(e.ref(table), ca.reshape(e.ref(token), signed((count, 1))))
    if count > 1:
        rows = ca.transpose(rows, unsigned((1, 0)))
    return ca.reshape(rows, signed(op.result.type.shape))


RULES: dict[str, Rule] = {"matmul": _matmul, "embedding": _embedding}
