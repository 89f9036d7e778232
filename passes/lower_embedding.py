"""Token embeddings without integers: a one-hot vector and a 1x1 convolution, or rows that the app looks up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isinf

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.lookups import reason_against
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Abs, Relu, Sub
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Embedding
from mctc.ir.ops.shape import Reshape, Transpose
from mctc.ir.program import Function, Program, Value
from mctc.ir.types import DType, Role, TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

LARGEST_EXACT = 2048  # whole numbers up to 2**11 are exact in fp16
NO_ID = -8.0  # stands in for the rows that pad a table: no id is near it
FED = "takes the token id as a number of the model's float type, exact in fp16"
LEFT = "the app looks the row up, in the table that is written beside the package, and hands it over"
KEPT = "stays int32 with a gather, on the CPU (ANE-OP-022)"
ONE_HOT, HOST = "one-hot", "host"


class LowerEmbedding(Pass):
    """Takes token ids as fp16 numbers: one_hot = relu(1 - |id - 0 1 2 ...|), then a 1x1 convolution with the table.

    A gather by a computed index runs on the CPU (ANE-OP-022), and so does every int32 tensor. The input keeps its
    name, shape and bound; its element type is the model's float: feed the id as a number. Ids above 2048 are not exact
    in fp16, and a whole table would be read for one row: the lookup of a larger table, or of one whose op says
    `host`, is left to the app. The package takes the row, and the table is written beside it.
    """

    name = "lower-embedding"
    promise = Exact()
    stage = "deploy"

    def run(self, program: Program, context: Context) -> Program:
        new = rewrite_functions(program, lambda new, function: _Lowering(new, function, self.name, context).lowered())
        return _expanded(fold_parameters(new, self.name))


def _expanded(program: Program) -> Program:
    """Weights of convolutions that would have a scale or a palette for each input, in fp16: the engine takes them for
    each output (ANE-QT-001). Tables that are output layers too have a scale for each row, which is an id."""
    kernels = {op.weight.owner for _, op in program.ops() if isinstance(op, Conv2d)}
    names = {kernel.parameter for kernel in kernels if isinstance(kernel, ParameterOp)}
    parameters = dict(program.parameters)
    for name in names:
        how = parameters[name].quantization
        if how is not None and how.axis == 1 and (how.scheme != "palette" or how.group is not None):
            parameters[name] = replace(parameters[name], quantization=replace(how, expanded=True))
    return replace(program, parameters=parameters)


class _Lowering(Rewriter):
    """Rebuilds a function with some of its token inputs as numbers."""

    def lowered(self) -> Function:
        forms = {token: self._form(token) for token in self.function.inputs}
        for token in self.function.inputs:
            if forms[token] == ONE_HOT:
                last = self.function.domain(token).greatest
                bound = token.type.bound if isinf(last) else Extent.of(int(last) + 1)
                self.bind(token, Value(TensorType(DType.F32, token.type.axes, bound), token.name))
        return self.rebuild(Pattern(Embedding, lambda op, _: self._lower(op, forms)))

    def _form(self, token: Value) -> str | None:
        """What becomes of the embeddings that take an input's ids: ONE_HOT, HOST or None, which is as they are."""
        users = self.uses.get(token, [])
        embeddings = [op for op in users if isinstance(op, Embedding)]
        if token.type.dtype is not DType.I32 or not embeddings:
            return None
        against_one_hot = _reason_against(token, embeddings, len(users) > len(embeddings))
        against_host = reason_against(embeddings[0], self.function)
        asked = any(op.host for op in embeddings) and against_host is None
        if against_one_hot is None and not asked:
            form, told = ONE_HOT, FED
        elif against_host is None:
            form, told = HOST, f"{LEFT}: {against_one_hot or 'its op says host'}"
        else:
            form, told = None, f"{KEPT}: {against_one_hot}; it can't be left to the app: {against_host}"
            for op in embeddings:
                self.refuse(op, told)
        self.context.explain(self.by, f"{self.function.name}.{token.name}", told)
        return form

    def _lower(self, op: Embedding, forms: Mapping[Value, str | None]) -> Value | None:
        form = forms.get(op.token)
        if form == HOST and not op.host:
            self.note("embedding is left to the app: it takes the ids, the package takes the rows")
            return self.op(Embedding, self[op.token], self[op.table], host=True)
        return self._one_hot(self[op.token], self[op.table]) if form == ONE_HOT else None

    def _one_hot(self, token: Value, table: Value) -> Value:
        rows, width = table.type.shape
        at = token.type.roles.index(Role.UNIT)
        shape, roles = [1] * token.type.rank, ["unit"] * token.type.rank
        shape[at], roles[at] = rows, "channel"
        ids = np.arange(rows, dtype=np.float32)
        ids[_ids(token, rows) :] = NO_ID
        entries = self.constant(ids.reshape(shape), roles)
        distance = self.op(Abs, self.op(Sub, token, entries))
        one_hot = self.op(Relu, self.op(Sub, self.constant(np.float32(1)), distance))
        columns = self.op(Transpose, table, order=(1, 0))
        kernel = self.op(Reshape, columns, axes=(("plain", width), ("plain", rows), ("plain", 1), ("plain", 1)))
        self.note("embedding became a one-hot vector by arithmetic and a 1x1 conv2d with the table")
        return self.op(Conv2d, one_hot, kernel)


def _reason_against(token: Value, embeddings: list[Embedding], shared: bool) -> str | None:
    """Why a token can't be a one-hot vector. `shared`: other ops read it too."""
    if shared:
        return "other ops use the ids too"
    if token.type.rank != 4 or token.type.roles[1] is not Role.UNIT or token.type.sequence != 3:
        return f"{token.type} is not laid out as (batch, unit, unit, label)"
    ids = max(_ids(token, op.table.type.shape[0]) for op in embeddings)
    if ids > LARGEST_EXACT + 1:
        return f"a table of {ids} rows has ids above {LARGEST_EXACT}, which are not exact in fp16"
    return None


def _ids(token: Value, rows: int) -> int:
    """How many ids there are; a padded table has more rows."""
    bound = token.type.bound
    return min(rows, bound.value) if bound is not None and bound.is_static else rows
