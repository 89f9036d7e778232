"""What becomes of a value further on in its function."""

from __future__ import annotations

from mctc.ir.ops.elementwise import Cast
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.shape import MergeChannels, SplitChannels
from mctc.ir.program import Function, Op, Value
from mctc.ir.recipes import MOVING

MOVES = (*MOVING, SplitChannels, MergeChannels, Cast)
"""Ops that move entries."""
Kinds = tuple[type[Op], ...]


class Surroundings:
    """Who reads each value of a function, and what is known before run time."""

    def __init__(self, function: Function) -> None:
        self.uses = function.uses()
        self.outputs = set(function.outputs)
        self.early = self._early(function)

    def users(self, value: Value) -> list[Op]:
        return self.uses.get(value, [])

    def leaves(self, value: Value) -> bool:
        """Whether a value is a result of the function, or a state's update."""
        return value in self.outputs

    def only_reaches(self, value: Value, ends: Kinds, through: Kinds) -> bool:
        """Whether all that is made of a value by ops `through` ends in ops `ends`."""
        if self.leaves(value) or not self.users(value):
            return False
        return all(
            isinstance(op, ends)
            or (isinstance(op, through) and all(self.only_reaches(each, ends, through) for each in op.results))
            for op in self.users(value)
        )

    @staticmethod
    def _early(function: Function) -> set[Value]:
        """Parameters, constants and what is computed from them with no more entries than they have: such arithmetic is
        done in single precision when the program is built, and only what it ends in is stored."""
        known: set[Value] = set()
        for op in function.ops:
            read = list(op.present())
            leaf = isinstance(op, (ParameterOp, Constant))
            if leaf or (read and not op.effects and all(value in known for value in read)):
                size = sum(value.type.size for value in read)
                if leaf or all(result.type.size <= size for result in op.results):
                    known.update(op.results)
        return known
