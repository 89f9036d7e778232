"""LSTM and GRU cells as 1x1 convolutions and gates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Add, Mul, Sigmoid, Sub, Tanh
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.recurrent import Cell, Gru, Lstm
from mctc.ir.ops.shape import Concat, Reshape, Split, laid_out
from mctc.ir.program import Program, Value
from mctc.ir.types import TensorType
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

Step = Callable[[Value, Sequence[Value]], list[Value]]
C = TypeVar("C", bound=Cell)


class LowerRnn(Pass):
    """Unrolls lstm and gru over the frames of a step: 1x1 convolutions, sigmoid and tanh.

    The Neural Engine runs no recurrent op (ANE-OP-001). The inputs of all frames are projected at once; for a single
    frame of an LSTM, both projections are one convolution over the input and the state joined.
    """

    name = "lower-rnn"
    promise = Exact()
    stage = "deploy"
    before = ("fold-state-reshapes", "pack-states")

    def run(self, program: Program, context: Context) -> Program:
        rule = first_of(Pattern(Lstm, _lstm), Pattern(Gru, _gru))
        return fold_parameters(rewrite(program, self.name, rule, context=context), self.name)


def _lstm(op: Lstm, to: Rewriter) -> list[Value] | Refuse:
    return _reason_against(op) or _Lstm(op, to).run()


def _gru(op: Gru, to: Rewriter) -> list[Value] | Refuse:
    return _reason_against(op) or _Gru(op, op.mask, to).run()


def _reason_against(op: Cell) -> Refuse | None:
    x = op.x.type
    if laid_out(x) and x.rank == 4 and x.is_static and x.shape[0] == x.shape[2] == 1:
        return None
    return Refuse(f"{x} is not (batch 1, channel, unit, a known number of frames)")


@dataclass(frozen=True)
class _Projection:
    """gates [1, gates * H, 1, 1] of one frame from its input (already projected unless joined) and the state h."""

    rewriter: Rewriter
    kernel: Value
    bias: Value | None
    joined: bool

    def __call__(self, frame: Value, h: Value) -> Value:
        if self.joined:
            return self.rewriter.op(Conv2d, self.rewriter.op(Concat, frame, h, axis=1), self.kernel, self.bias)
        return self.rewriter.op(Add, frame, self.rewriter.op(Conv2d, h, self.kernel, self.bias))


class _Unrolled(ABC, Generic[C]):
    """One cell op while it is unrolled. `mask`: its operand of that name."""

    def __init__(self, op: C, mask: Value | None, rewriter: Rewriter) -> None:
        self.op, self.mask, self.rewriter, self.x = op, mask, rewriter, rewriter[op.x]
        self.frames = self.x.type.shape[3]

    @abstractmethod
    def initial(self) -> Sequence[Value | None]:
        """The old values that the states start from; None for zeros."""

    @abstractmethod
    def step(self) -> Step:
        """New states from a frame that is projected and the states before it."""

    @abstractmethod
    def projected(self) -> list[Value]:
        """The frames: projected by weight_ih all at once, unless they meet the state before that."""

    def run(self) -> list[Value]:
        self.rewriter.explain(self.op, f"{self.op.name} over {self.frames} frame(s): {self.how()}")
        self.rewriter.note(f"{self.op.name} became convolutions over {self.frames} frame{'s' * (self.frames > 1)}")
        types = [result.type for result in self.op.results[1:]]
        states = [self._state(old, type_) for old, type_ in zip(self.initial(), types)]
        step = self.step()
        outputs = []
        for frame, mark in zip(self.projected(), self._marks()):
            new = step(frame, states)
            states = new if mark is None else [self._kept(n, old, mark) for n, old in zip(new, states)]
            outputs.append(states[0])
        y = outputs[0] if len(outputs) == 1 else self.rewriter.op(Concat, *outputs, axis=3)
        return [y, *(self.rewriter.reshaped(state, type_) for state, type_ in zip(states, types))]

    def how(self) -> str:
        return "input and state projected separately; recurrent ops never run on the Neural Engine"

    def _projected(self, bias: Value | None) -> list[Value]:
        kernel = self._kernel(self.op.weight_ih)
        return self._columns(self.rewriter.op(Conv2d, self.x, kernel, self.rewriter.maybe(bias)))

    def _columns(self, value: Value) -> list[Value]:
        """The frames [1, C, 1, 1] of [1, C, 1, T]: several are turned by a product with a unit matrix and cut as full
        rows, for single frames cut along the last axis would take 32 times their size each."""
        if self.frames == 1:
            return [value]
        b, (_, channels, _, frames) = self.rewriter, value.type.shape
        time = value.type.axes[3].role.value
        by_frame = b.op(Reshape, value, axes=(("batch", 1), ("unit", 1), ("channel", channels), (time, frames)))
        unit = b.constant(np.eye(frames, dtype=np.float32)[None, None], ("unit", "unit", "plain", "plain"))
        rows = b.op(MatMul, unit, by_frame, transpose_right=True)
        column = value.type.with_extent(3, 1)
        return [b.reshaped(row, column) for row in b.emit(Split, rows, parts=frames, axis=2)]

    def _kernel(self, *weights: Value) -> Value:
        """Weights [out, in] side by side as one kernel [out, ins, 1, 1]."""
        first, *rest = (self.rewriter[weight] for weight in weights)
        weight = self.rewriter.op(Concat, first, *rest, axis=1) if rest else first
        out, into = weight.type.shape
        return self.rewriter.op(Reshape, weight, axes=(("plain", out), ("plain", into), ("plain", 1), ("plain", 1)))

    def _state(self, old: Value | None, type_: TensorType) -> Value:
        """The incoming state with the axes of a frame; zeros where the op has none."""
        wanted = self.x.type.with_extent(3, 1).with_extent(1, type_.extents[1])
        if old is None:
            return self.rewriter.constant(np.zeros(wanted.shape, np.float32), [axis.role.value for axis in wanted.axes])
        return self.rewriter.reshaped(self.rewriter[old], wanted)

    def _marks(self) -> list[Value] | list[None]:
        """For each frame 1 where it counts and 0 where it leaves the state as it was; None if every frame counts."""
        if self.mask is None:
            return [None] * self.frames
        axes = (("unit", 1), ("unit", 1), ("unit", 1), (self.x.type.axes[3].role.value, self.frames))
        return self._per_frame(self.rewriter.op(Reshape, self.rewriter[self.mask], axes=axes))

    def _per_frame(self, value: Value) -> list[Value]:
        return [value] if self.frames == 1 else list(self.rewriter.emit(Split, value, parts=self.frames, axis=3))

    def _kept(self, new: Value, old: Value, mark: Value) -> Value:
        op = self.rewriter.op
        return op(Add, old, op(Mul, mark, op(Sub, new, old)))


class _Lstm(_Unrolled[Lstm]):
    def __init__(self, op: Lstm, rewriter: Rewriter) -> None:
        super().__init__(op, op.mask, rewriter)
        stored = rewriter.stored(op.weight_ih) or rewriter.stored(op.weight_hh)  # joined, one gets the other's scales
        self.joined = self.frames == 1 and stored is None

    def how(self) -> str:
        joined = "input and state in one convolution; recurrent ops never run on the Neural Engine"
        return joined if self.joined else super().how()

    def initial(self) -> Sequence[Value | None]:
        return self.op.h, self.op.c

    def projected(self) -> list[Value]:
        return [self.x] if self.joined else self._projected(self.op.bias)

    def step(self) -> Step:
        emit, op = self.rewriter.emit, self.rewriter.op
        weights = (self.op.weight_ih, self.op.weight_hh) if self.joined else (self.op.weight_hh,)
        bias = self.rewriter.maybe(self.op.bias) if self.joined else None
        project = _Projection(self.rewriter, self._kernel(*weights), bias, self.joined)

        def step(frame: Value, states: Sequence[Value]) -> list[Value]:
            h, c = states
            i, f, g, o = emit(Split, project(frame, h), parts=4, axis=1)
            fresh = op(Mul, op(Sigmoid, i), op(Tanh, g))
            c = op(Add, op(Mul, op(Sigmoid, f), c), fresh)
            return [op(Mul, op(Sigmoid, o), op(Tanh, c)), c]

        return step


class _Gru(_Unrolled[Gru]):
    def initial(self) -> Sequence[Value | None]:
        return (self.op.h,)

    def projected(self) -> list[Value]:
        return self._projected(self.op.bias_ih)

    def step(self) -> Step:
        emit, op = self.rewriter.emit, self.rewriter.op
        kernel, bias = self._kernel(self.op.weight_hh), self.rewriter.maybe(self.op.bias_hh)
        hidden = self.op.weight_hh.type.shape[1]

        def step(frame: Value, states: Sequence[Value]) -> list[Value]:
            (h,) = states
            x_rz, x_n = emit(Split, frame, sizes=(2 * hidden, hidden), axis=1)
            h_rz, h_n = emit(Split, op(Conv2d, h, kernel, bias), sizes=(2 * hidden, hidden), axis=1)
            r, z = emit(Split, op(Sigmoid, op(Add, x_rz, h_rz)), parts=2, axis=1)
            n = op(Tanh, op(Add, x_n, op(Mul, r, h_n)))
            return [op(Add, n, op(Mul, z, op(Sub, h, n)))]  # (1 - z) * n + z * h

        return step
