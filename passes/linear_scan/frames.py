"""Values of a loop over all its frames at once, emitted as they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mctc.ir.build import Builder
from mctc.ir.loops import Loop
from mctc.ir.op import Op
from mctc.ir.ops.elementwise import Add, Mul
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.shape import Concat, Slice
from mctc.ir.types import TensorType
from mctc.ir.value import Value, name_like
from mctc.passes.linear_scan.algebra import Term


class Frames:
    """Asked for a value of the loop, of what it is computed of, or of no function, emits the ops that give it.

    known: the new value of one that is there already, or None. `after` holds the states behind every frame as they are
    solved, of which their values before each frame are made. halved: whether numbers are stored in fp16.
    """

    def __init__(self, b: Builder, loop: Loop, known: Callable[[Value], Value | None], halved: bool = False) -> None:
        self.b, self.loop, self.known, self.halved = b, loop, known, halved
        self.after: dict[ScanState, Value] = {}
        self._made: dict[Value, Value] = {}
        self._later: dict[Value, Callable[[], Value]] = {}

    @property
    def count(self) -> int:
        return self.loop.frames.value

    def __getitem__(self, value: Value) -> Value:
        there = self._made.get(value) or self.known(value)
        if there is not None:
            return there
        owner = value.owner
        assert owner is not None
        if value in self._later:
            self._made[value] = self._later.pop(value)()
        elif isinstance(owner, ScanState):
            self._made[value] = self._before(owner)
        else:
            self._emit(owner)
        return self._made[value]

    def bind(self, value: Value, new: Value) -> None:
        """Says what a value is over all frames."""
        self._made[value] = new

    def bind_later(self, value: Value, make: Callable[[], Value]) -> None:
        """Says how a value is made once it is asked for."""
        self._later[value] = make

    def makes(self, value: Value) -> bool:
        """Whether a value is made in a way of its own."""
        return value in self._later

    def _emit(self, op: Op) -> None:
        operands = [None if value is None else self[value] for value in op.operands]
        for old, new in zip(op.results, self.b.emit(type(op), *operands, **op.attributes), strict=True):
            self._made[old] = new
            name_like(new, old)

    def _before(self, state: ScanState) -> Value:
        """A state as it is before each frame: its start, then what it is behind every frame but the last."""
        start, after = self.start(state), self.after[state]
        if self.count == 1:
            return start
        earlier = self.b.op(Slice, after, axis=3, end=self.count - 1)
        return self.b.op(Concat, start, earlier, axis=3)

    def given(self, state: ScanState) -> Value | None:
        """The value that a state starts from, of one frame; None for zeros."""
        return None if state.start is None else self.b.reshaped(self[state.start], one_frame(state.result.type))

    def start(self, state: ScanState) -> Value:
        given = self.given(state)
        return filled(self.b, one_frame(state.result.type), 0.0) if given is None else given

    def tensor(self, term: Term, like: TensorType) -> Value:
        """A term with all the entries of a type."""
        if isinstance(term, float):
            return filled(self.b, like, term)
        value = self[term]
        return value if value.type.shape == like.shape else self.b.op(Add, value, filled(self.b, like, 0.0))

    def timed(self, value: Value) -> Value:
        """A value that is the same in all frames, in each of them."""
        if value.type.rank == 4 and value.type.shape[3] == self.count:
            return value
        axes = self.loop.states[0].result.type
        ones = axes.with_extent(1, 1).with_extent(2, 1)
        return self.b.op(Mul, value, filled(self.b, ones, 1.0))

    def last(self, value: Value) -> Value:
        """Of all frames the last one."""
        return value if self.count == 1 else self.b.op(Slice, value, axis=3, begin=self.count - 1)


def one_frame(type_: TensorType) -> TensorType:
    return type_.with_extent(3, 1)


def filled(b: Builder, type_: TensorType, number: float) -> Value:
    """A constant of one number."""
    roles = tuple(role.value for role in type_.roles)
    return b.op(Constant, value=np.full(type_.shape, number), dtype=type_.dtype.value, roles=roles)
