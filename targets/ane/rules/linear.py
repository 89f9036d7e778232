"""Matrix product, and the embedding where it stays a gather."""

from __future__ import annotations

from mctc.driver.names import place
from mctc.ir.program import Op
from mctc.ir.types import Role
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import FunctionEmitter, Operand, Rule


def _matmul(op: Op, e: FunctionEmitter) -> None:
    left, right = op.operands
    assert left is not None
    assert right is not None
    turned = {
        f"transpose_{axis}": bool(op.attributes[f"transpose_{side}"]) for axis, side in (("x", "left"), ("y", "right"))
    }
    e.emit(op, "matmul", {"x": left, "y": right, **turned})


def _embedding(op: Op, e: FunctionEmitter) -> None:
    token, table = op.operands
    assert token is not None
    assert table is not None
    width, count = table.type.shape[1], token.type.size
    if Role.UNIT not in token.type.roles or max(token.type.shape) != count or token.type.roles.index(Role.UNIT) != 1:
        raise EmitError(f"{place(op)}: token ids of type {token.type} can't be looked up; they must be (1, 1, 1, ids)")
    flat = e.step(op, "reshape", {"x": token, "shape": [count]}, [count], dtype="int32")
    inputs: dict[str, Operand] = {"x": table, "indices": flat, "axis": 0, "batch_dims": 0, "validate_indices": False}
    rows = e.step(op, "gather", inputs, [count, width])
    if count > 1:
        rows = e.step(op, "transpose", {"x": rows, "perm": [1, 0]}, [width, count])
    e.emit(op, "reshape", {"x": rows, "shape": op.result.type.shape})


RULES: dict[str, Rule] = {"matmul": _matmul, "embedding": _embedding}
