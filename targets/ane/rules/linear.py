"""Matrix product, and the embedding where it stays a gather."""

from __future__ import annotations

from mctc.emit.laid_out import count_ids
from mctc.emit.rules import Rules
from mctc.ir.ops.linear import Embedding, MatMul
from mctc.targets.ane.function import FunctionEmitter, Operand

RULES = Rules[FunctionEmitter, None]()


@RULES.of(MatMul)
def _matmul(op: MatMul, e: FunctionEmitter) -> None:
    turned: dict[str, Operand] = {"transpose_x": op.transpose_left, "transpose_y": op.transpose_right}
    e.emit(op, "matmul", {"x": op.left, "y": op.right, **turned})


@RULES.of(Embedding)
def _embedding(op: Embedding, e: FunctionEmitter) -> None:
    width, count = op.table.type.shape[1], count_ids(op)
    flat = e.step(op, "reshape", {"x": op.token, "shape": [count]}, [count], dtype="int32")
    inputs: dict[str, Operand] = {"x": op.table, "indices": flat, "axis": 0, "batch_dims": 0, "validate_indices": False}
    rows = e.step(op, "gather", inputs, [count, width])
    if count > 1:
        rows = e.step(op, "transpose", {"x": rows, "perm": [1, 0]}, [width, count])
    e.emit(op, "reshape", {"x": rows, "shape": op.result.type.shape})
