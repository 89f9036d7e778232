"""Token embeddings without integers: a one-hot vector by arithmetic, then a 1x1 convolution with the table."""

from __future__ import annotations

import numpy as np

from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import DType, Role
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

LARGEST_EXACT = 2048  # whole numbers up to 2**11 are exact in fp16
NO_ID = -8.0  # stands in for the rows that pad a table: no id is near it
FED = "takes the token id as a number of the model's float type, exact in fp16"


class LowerEmbedding(Pass):
    """Takes token ids as fp16 numbers: one_hot = relu(1 - |id - 0 1 2 ...|), then a 1x1 convolution with the table.

    A gather by a computed index runs on the CPU (ANE-OP-022), and so does every int32 tensor. The input keeps its
    name, shape and bound; its element type is the model's float: feed the id as a number. A table of more than 2049
    rows stays a gather, because not every id is exact in fp16, and a whole table would be read for one row.
    """

    name = "lower-embedding"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        new = rewrite_functions(program, lambda new, function: _Lowering(new, function, self.name, context).lowered())
        return fold_parameters(new, self.name)


class _Lowering(Rewriter):
    """Rebuilds a function with some of its token inputs as numbers."""

    def __init__(self, program: Program, function: Function, by: str, context: Context) -> None:
        super().__init__(program, function, by)
        self.context = context

    def lowered(self) -> Function:
        tokens = {value for value in self.function.inputs if self._lowerable(value)}
        for value in tokens:
            self.bind(value, Value(value.type.with_dtype(DType.F32), value.name))
        return self.rebuild(lambda op, rewriter: self._lower(op) if op.operands and op.operands[0] in tokens else None)

    def _lowerable(self, token: Value) -> bool:
        users = self.uses.get(token, [])
        if token.type.dtype is not DType.I32 or not any(op.name == "embedding" for op in users):
            return False
        reason = _reason_against(token, users)
        where = f"{self.function.name}.{token.name}"
        if reason:
            self.context.explain(self.by, where, f"stays int32 with a gather, on the CPU (ANE-OP-022): {reason}")
        else:
            self.context.explain(self.by, where, FED)
        return not reason

    def _lower(self, op: Op) -> Value:
        token, table = self.operands(op)
        assert token is not None
        assert table is not None
        rows, width = table.type.shape
        at = token.type.roles.index(Role.UNIT)
        shape, roles = [1] * token.type.rank, ["unit"] * token.type.rank
        shape[at], roles[at] = rows, "channel"
        ids = np.arange(rows, dtype=np.float32)
        ids[_ids(token, rows) :] = NO_ID
        entries = self.constant(ids.reshape(shape), roles)
        distance = self.op("abs", self.op("sub", token, entries))
        one_hot = self.op("relu", self.op("sub", self.constant(np.float32(1)), distance))
        columns = self.op("transpose", table, order=(1, 0))
        kernel = self.op("reshape", columns, axes=(("plain", width), ("plain", rows), ("plain", 1), ("plain", 1)))
        self.note("embedding became a one-hot vector by arithmetic and a 1x1 conv2d with the table")
        return self.op("conv2d", one_hot, kernel)


def _reason_against(token: Value, users: list[Op]) -> str | None:
    if any(op.name != "embedding" for op in users):
        return "other ops use the ids too"
    if token.type.rank != 4 or token.type.roles[1] is not Role.UNIT or token.type.sequence != 3:
        return f"{token.type} is not laid out as (batch, unit, unit, label)"
    ids = max(_ids(token, op.operands[1].type.shape[0]) for op in users if op.operands[1] is not None)
    if ids > LARGEST_EXACT + 1:
        return f"a table of {ids} rows has ids above {LARGEST_EXACT}, which are not exact in fp16"
    return None


def _ids(token: Value, rows: int) -> int:
    """How many ids there are; a padded table has more rows."""
    bound = token.type.bound
    return min(rows, bound.value) if bound is not None and bound.is_static else rows
