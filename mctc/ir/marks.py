"""Whether a value is ones and zeros alone, as far as a function shows it: what a mask has to be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mctc.ir.domain import MASK, Domain
from mctc.ir.masks import NOT, mask_operands
from mctc.ir.ops.convolution import Conv1d
from mctc.ir.ops.elementwise import Cast, Clip, Scale
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.shape import Pad
from mctc.ir.program import Function, Op, Value
from mctc.ir.types import DType


def doubtful_masks(function: Function) -> Iterator[Op]:
    """The ops whose mask may be something else than 1 and 0, for all that is said of the inputs."""
    marks = _Marks(function)
    for op in function.ops:
        if not all(marks.only_marks(value) for value in mask_operands(op)):
            yield op


class _Marks:
    """What is known of a function's values, each asked for once."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._known: dict[Value, tuple[bool, bool]] = {}

    def only_marks(self, value: Value) -> bool:
        """Whether all entries are 1 or 0."""
        return self._of(value)[0]

    def _of(self, value: Value) -> tuple[bool, bool]:
        """Whether all entries are 1 or 0, and whether all are whole numbers."""
        if value not in self._known:
            marks, whole = self._input(value) if value.owner is None else self._made(value.owner)
            self._known[value] = marks, marks or whole
        return self._known[value]

    def _input(self, value: Value) -> tuple[bool, bool]:
        domain: Domain = self.function.domain(value)
        return _marks(domain.least, domain.greatest) and (domain.whole or domain == MASK), domain.whole

    def _picks(self, op: Conv1d) -> bool:
        """Whether a convolution's results are entries of its operand: each by a kernel of zeros and at most one 1."""
        kernel = op.weight.owner
        if not isinstance(kernel, Constant) or op.bias is not None:
            return False
        return bool((np.asarray(kernel.value).sum(axis=(1, 2)) <= 1).all())

    def _made(self, op: Op) -> tuple[bool, bool]:
        if isinstance(op, Constant):
            entries = np.asarray(op.value)
            return bool(np.isin(entries, (0, 1)).all()), bool((entries == np.floor(entries)).all())
        known = [self._of(value) for value in op.present()]
        marks, whole = all(each for each, _ in known), bool(known) and all(each for _, each in known)
        if isinstance(op, Cast):
            return marks or op.dtype is DType.BOOL, whole or op.dtype is DType.I32
        if isinstance(op, Scale):
            numbers = op.factor, op.offset
            return marks and numbers == NOT, whole and all(number.is_integer() for number in numbers)
        if isinstance(op, Clip):
            return whole and _marks(op.low, op.high), whole
        if isinstance(op, Pad) and op.value not in (0, 1):
            return False, False
        if isinstance(op, Conv1d):
            return marks and self._picks(op), whole
        return marks and op.keeps == "marks", whole and op.keeps != ""


def _marks(least: float, greatest: float) -> bool:
    return least in (0, 1) and greatest in (0, 1)
