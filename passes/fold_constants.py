"""What is known before run time leaves the program: folded into recipes, computed, or dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Cast, Scale
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.shape import Concat, Pad, Reshape, Slice, Split, Transpose
from mctc.ir.program import Function, Op, Program, Value
from mctc.passes.numbers.surroundings import Surroundings
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters, structural
from mctc.rewrite.rewriter import Rewriter, rewrite


class FoldConstants(Pass):
    """Computes ops on constants, drops ops that do nothing, moves reshapes of weights into their recipes.

    Arithmetic on weights stays: a training module trains the tensors that the spec names.
    """

    name = "fold-constants"
    promise = Exact()
    after: ClassVar[tuple[str, ...]] = ("linear-to-conv",)

    def run(self, program: Program, context: Context) -> Program:
        return fold_parameters(rewrite(program, self.name, _simpler), self.name, self.folds)

    def folds(self, op: Op) -> bool:
        """Whether this op on a parameter moves into the parameter's recipe."""
        return structural(op)


class FoldDeployConstants(FoldConstants):
    """Folds as fold-constants does, and arithmetic on weights too: A = -exp(A_log) is stored as A."""

    name = "fold-deploy-constants"
    stage = "deploy"
    after = (
        "fold-batch-norm",
        "lower-selective-scan?",
        "lower-rnn?",
        "lower-embedding?",
        "lower-attention?",
        "legalise?",
    )

    def run(self, program: Program, context: Context) -> Program:
        simpler = rewrite(program, self.name, _simpler)
        returned = {op for function in simpler.functions.values() for op in _returned(function)}
        return fold_parameters(simpler, self.name, lambda op: op not in returned and self.folds(op))

    def folds(self, op: Op) -> bool:
        """Any op, as long as it makes no more entries than it reads: storing a broadcast would cost file size.

        What a layer makes of a parameter or a constant, a state that a cell starts from, stays: both factors are
        rounded or quantised, not the product.
        """
        if isinstance(op, Conv2d):
            return False
        read = sum(value.type.size for value in op.operands if value is not None)
        return all(result.type.size <= read for result in op.results)


def _returned(function: Function) -> Iterator[Op]:
    """Arithmetic on parameters that ends in a result: stored, it would be rounded more coarsely than it is returned."""
    early, leaving = Surroundings(function).early, {value for _, value in function.results}
    for op in reversed(function.ops):
        if op.operands and early.issuperset(op.results) and leaving.intersection(op.results):
            leaving.update(value for value in op.operands if value is not None)
            if not structural(op):
                yield op


def _simpler(op: Op, to: Rewriter) -> Value | None:
    kept = _unchanged(op)
    if kept is not None:
        to.note(f"{op.name} did nothing and was dropped")
        return to[kept]
    match op:
        case Conv2d():
            return _nothing_convolved(op, to)
        case Reshape():
            return _one_reshape(op, to)
    return None


def _unchanged(op: Op) -> Value | None:
    """The operand of an op that returns it as it is."""
    match op:
        case Scale(factor=1, offset=0) | Pad(before=0, after=0):
            return op.x
        case Reshape() | Cast() | Slice():
            return op.x if op.x.type == op.result.type else None
        case Transpose():
            return op.x if op.order == tuple(range(op.x.type.rank)) else None
        case Split():
            return op.x if len(op.results) == 1 else None
        case Concat():
            return op.xs[0] if len(op.xs) == 1 else None
    return None


def _nothing_convolved(op: Conv2d, to: Rewriter) -> Value | None:
    """A layer without a bias makes zeros of zeros, the state that a cell starts from."""
    zeros, type_ = to[op.x].owner, op.result.type
    if not isinstance(zeros, Constant) or zeros.value.any() or op.bias is not None or not type_.is_static:
        return None
    to.note("zeros convolved without a bias are zeros")
    roles = tuple(role.value for role in type_.roles)
    return to.op(Constant, value=np.zeros(type_.shape, np.float32), dtype=type_.dtype.value, roles=roles)


def _one_reshape(op: Reshape, to: Rewriter) -> Value | None:
    """A reshape of a reshape reads what the first one read."""
    first = to[op.x].owner
    if not isinstance(first, Reshape):
        return None
    to.note("two reshapes became one")
    return first.x if first.x.type == op.result.type else to.op(Reshape, first.x, axes=op.axes)
