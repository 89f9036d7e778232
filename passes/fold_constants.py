"""What is known before run time leaves the program: folded into recipes, computed, or dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np

from mctc.ir.program import Function, Op, Program, Value
from mctc.passes.numbers.surroundings import Surroundings
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters, structural
from mctc.rewrite.rewriter import Rewriter, rewrite

NOTHING_DONE: dict[str, Callable[[Op], bool]] = {
    "scale": lambda op: op.attributes["factor"] == 1 and op.attributes["offset"] == 0,
    "reshape": lambda op: _same_type(op),
    "cast": lambda op: _same_type(op),
    "slice": lambda op: _same_type(op),
    "transpose": lambda op: tuple(op.attributes["order"]) == tuple(range(op.result.type.rank)),
    "pad": lambda op: op.attributes["before"] == op.attributes["after"] == 0,
    "split": lambda op: len(op.results) == 1,
    "concat": lambda op: len(op.operands) == 1,
}
"""Ops that return their first operand, and when."""


def _same_type(op: Op) -> bool:
    (x,) = op.operands
    return x is not None and x.type == op.result.type


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
        if op.name == "conv2d":
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


def _simpler(op: Op, rewriter: Rewriter) -> Value | None:
    if op.name in NOTHING_DONE and NOTHING_DONE[op.name](op):
        rewriter.note(f"{op.name} did nothing and was dropped")
        return next(value for value in rewriter.operands(op) if value is not None)
    if op.name == "conv2d":
        return _nothing_convolved(op, rewriter)
    return _one_reshape(op, rewriter) if op.name == "reshape" else None


def _nothing_convolved(op: Op, rewriter: Rewriter) -> Value | None:
    """A layer without a bias makes zeros of zeros, the state that a cell starts from."""
    x, _, bias = rewriter.operands(op)
    zeros = (
        x is not None and x.owner is not None and x.owner.name == "constant" and not x.owner.attributes["value"].any()
    )
    type_ = op.result.type
    if not zeros or bias is not None or not type_.is_static:
        return None
    rewriter.note("zeros convolved without a bias are zeros")
    roles = tuple(role.value for role in type_.roles)
    return rewriter.op("constant", value=np.zeros(type_.shape, np.float32), dtype=type_.dtype.value, roles=roles)


def _one_reshape(op: Op, rewriter: Rewriter) -> Value | None:
    """A reshape of a reshape reads what the first one read."""
    (x,) = rewriter.operands(op)
    first = x.owner if x is not None else None
    if first is None or first.name != "reshape":
        return None
    (origin,) = first.operands
    assert origin is not None
    rewriter.note("two reshapes became one")
    return origin if origin.type == op.result.type else rewriter.op("reshape", origin, axes=op.attributes["axes"])
