"""LSTM and GRU cells as 1x1 convolutions and gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mctc.ir.ops.shape import laid_out
from mctc.ir.program import Op, Program, Value
from mctc.ir.types import TensorType
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Outcome
from mctc.rewrite.rewriter import Rewriter, rewrite


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
        def rule(op: Op, rewriter: Rewriter) -> Outcome:
            if op.name not in CELLS or not unrollable(op):
                return None
            cell = _Unrolled(op, rewriter)
            context.explain(self.name, op.origin.path or rewriter.function.name, cell.why())
            rewriter.note(f"{op.name} became convolutions over {cell.frames} frame{'s' * (cell.frames > 1)}")
            return cell.run()

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def unrollable(op: Op) -> bool:
    """Whether the cell runs over a fixed number of frames, laid out as (batch 1, channel, unit, frames)."""
    x = op.operands[0]
    assert x is not None
    return laid_out(x.type) and x.type.rank == 4 and x.type.is_static and x.type.shape[0] == x.type.shape[2] == 1


@dataclass(frozen=True)
class _Projection:
    """gates [1, gates * H, 1, 1] of one frame from its input (already projected unless joined) and the state h."""

    rewriter: Rewriter
    kernel: Value
    bias: Value | None
    joined: bool

    def __call__(self, frame: Value, h: Value) -> Value:
        if self.joined:
            return self.rewriter.op("conv2d", self.rewriter.op("concat", frame, h, axis=1), self.kernel, self.bias)
        return self.rewriter.op("add", frame, self.rewriter.op("conv2d", h, self.kernel, self.bias))


class _Unrolled:
    """One cell op while it is unrolled."""

    def __init__(self, op: Op, rewriter: Rewriter) -> None:
        self.op, self.rewriter = op, rewriter
        x = rewriter.named(op, "x")
        assert x is not None
        self.x, self.frames = x, x.type.shape[3]
        self.joined = op.name == "lstm" and self.frames == 1 and not _quantized(op, rewriter.program)

    def why(self) -> str:
        how = "input and state in one convolution" if self.joined else "input and state projected separately"
        return f"{self.op.name} over {self.frames} frame(s): {how}; recurrent ops never run on the Neural Engine"

    def run(self) -> list[Value]:
        frame_type = self.x.type.with_extent(3, 1)
        names = [name for name, _ in self._hidden()]
        states = [self._state(name, frame_type, result) for name, result in self._hidden()]
        step = CELLS[self.op.name](self)
        outputs = []
        for frame, mark in zip(self._frames(), self._marks()):
            new = step(frame, states)
            states = new if mark is None else [self._kept(n, old, mark) for n, old in zip(new, states)]
            outputs.append(states[0])
        y = outputs[0] if len(outputs) == 1 else self.rewriter.op("concat", *outputs, axis=3)
        types = [self.op.results[i + 1].type for i in range(len(names))]
        return [y, *(self.rewriter.reshaped(state, type_) for state, type_ in zip(states, types))]

    def lstm(self) -> Callable[[Value, Sequence[Value]], list[Value]]:
        emit, op = self.rewriter.emit, self.rewriter.op
        project = self._projection("bias" if self.joined else None)

        def step(frame: Value, states: Sequence[Value]) -> list[Value]:
            h, c = states
            i, f, g, o = emit("split", project(frame, h), parts=4, axis=1)
            fresh = op("mul", op("sigmoid", i), op("tanh", g))
            c = op("add", op("mul", op("sigmoid", f), c), fresh)
            return [op("mul", op("sigmoid", o), op("tanh", c)), c]

        return step

    def gru(self) -> Callable[[Value, Sequence[Value]], list[Value]]:
        emit, op = self.rewriter.emit, self.rewriter.op
        kernel, bias = self._kernel("weight_hh"), self.rewriter.named(self.op, "bias_hh")
        gates = self.op.operands[2]
        assert gates is not None
        hidden = gates.type.shape[1]

        def step(frame: Value, states: Sequence[Value]) -> list[Value]:
            (h,) = states
            x_rz, x_n = emit("split", frame, sizes=(2 * hidden, hidden), axis=1)
            h_rz, h_n = emit("split", op("conv2d", h, kernel, bias), sizes=(2 * hidden, hidden), axis=1)
            r, z = emit("split", op("sigmoid", op("add", x_rz, h_rz)), parts=2, axis=1)
            n = op("tanh", op("add", x_n, op("mul", r, h_n)))
            return [op("add", n, op("mul", z, op("sub", h, n)))]  # (1 - z) * n + z * h

        return step

    def _frames(self) -> list[Value]:
        """The frames: projected by weight_ih all at once, unless they meet the state before that."""
        if self.joined:
            return [self.x]
        bias = self.rewriter.named(self.op, "bias" if self.op.name == "lstm" else "bias_ih")
        projected = self.rewriter.op("conv2d", self.x, self._kernel("weight_ih"), bias)
        return self._per_frame(projected)

    def _projection(self, bias: str | None) -> _Projection:
        kernel = self._kernel("weight_ih", "weight_hh") if self.joined else self._kernel("weight_hh")
        return _Projection(self.rewriter, kernel, self.rewriter.named(self.op, bias) if bias else None, self.joined)

    def _kernel(self, *names: str) -> Value:
        """Weights [out, in] side by side as one kernel [out, ins, 1, 1]."""
        weights = [self.rewriter.named(self.op, name) for name in names]
        present = [weight for weight in weights if weight is not None]
        weight = present[0] if len(present) == 1 else self.rewriter.op("concat", *present, axis=1)
        out, into = weight.type.shape
        return self.rewriter.op("reshape", weight, axes=(("plain", out), ("plain", into), ("plain", 1), ("plain", 1)))

    def _hidden(self) -> list[tuple[str, int]]:
        return [("h", 1), ("c", 2)] if self.op.name == "lstm" else [("h", 1)]

    def _state(self, name: str, frame: TensorType, result: int) -> Value:
        """The incoming state with the axes of a frame; zeros where the op has none."""
        value, type_ = self.rewriter.named(self.op, name), self.op.results[result].type
        wanted = frame.with_extent(1, type_.extents[1])
        if value is None:
            return self.rewriter.constant(np.zeros(wanted.shape, np.float32), [axis.role.value for axis in wanted.axes])
        return self.rewriter.reshaped(value, wanted)

    def _marks(self) -> list[Value] | list[None]:
        """For each frame 1 where it counts and 0 where it leaves the state as it was; None if every frame counts."""
        mask = self.rewriter.named(self.op, "mask")
        if mask is None:
            return [None] * self.frames
        axes = (("unit", 1), ("unit", 1), ("unit", 1), (self.x.type.axes[3].role.value, self.frames))
        row = self.rewriter.op("reshape", mask, axes=axes)
        return self._per_frame(row)

    def _per_frame(self, value: Value) -> list[Value]:
        return [value] if self.frames == 1 else list(self.rewriter.emit("split", value, parts=self.frames, axis=3))

    def _kept(self, new: Value, old: Value, mark: Value) -> Value:
        op = self.rewriter.op
        return op("add", old, op("mul", mark, op("sub", new, old)))


Step = Callable[[Value, Sequence[Value]], list[Value]]
CELLS: dict[str, Callable[[_Unrolled], Step]] = {"lstm": _Unrolled.lstm, "gru": _Unrolled.gru}


def _quantized(op: Op, program: Program) -> bool:
    """Whether a weight is stored quantised: joined with another one it would get other scales."""
    owners = [value.owner for name in ("weight_ih", "weight_hh") if (value := op.operand(name)) is not None]
    names = [owner.attributes["name"] for owner in owners if owner is not None and owner.name == "parameter"]
    return any(program.parameters[name].quantization is not None for name in names)
