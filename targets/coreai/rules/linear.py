"""Matrix product, and the embedding where it stays a gather."""

from __future__ import annotations

from math import prod

from coreai import authoring as ca

from mctc.ir.program import Op, Value
from mctc.ir.types import Role
from mctc.targets.coreai.errors import CoreAiError, place
from mctc.targets.coreai.function import FunctionEmitter, Rule
from mctc.targets.coreai.rules.operands import operand, signed, unsigned


def _turned(value: Value, turn: bool, e: FunctionEmitter) -> tuple[ca.Value, tuple[int, ...]]:
    """An operand with its last two axes exchanged if need be, and its shape."""
    written, shape = e.ref(value), value.type.shape
    if not turn:
        return written, shape
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    return ca.transpose(written, unsigned(order)), tuple(shape[axis] for axis in order)


def _matmul(op: Op, e: FunctionEmitter) -> ca.Value:
    turns = [bool(op.attributes[f"transpose_{side}"]) for side in ("left", "right")]
    if prod(operand(op, 1).type.shape[:-2]) == 1 and not turns[1]:
        return _rows_by_matrix(op, turns[0], e)
    (left, rows), (right, columns) = (_turned(operand(op, index), turn, e) for index, turn in enumerate(turns))
    multiply = ca.batch_matmul if rows[:-2] == columns[:-2] else ca.broadcasting_batch_matmul
    return multiply(left, right)


def _rows_by_matrix(op: Op, turn: bool, e: FunctionEmitter) -> ca.Value:
    """One matrix on the right: one product in rank 4, with the rows of all the left matrices below each other."""
    left, shape = _turned(operand(op, 0), turn, e)
    right = operand(op, 1)
    flat = (1, 1, prod(shape[:-1]), shape[-1])
    left = left if shape == flat else ca.reshape(left, signed(flat))
    product = ca.batch_matmul(left, e.shaped(right, (1, 1, *right.type.shape[-2:])))
    return product if op.result.type.shape[:-1] == flat[:-1] else ca.reshape(product, signed(op.result.type.shape))


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
