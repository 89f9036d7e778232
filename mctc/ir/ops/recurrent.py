"""Recurrent cells over the sequence axis: LSTM and GRU, with torch's gate order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import Example, X
from mctc.ir.fields import mask_operand, operand, optional_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.elementwise import sigmoid
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.ops.shape import laid_out
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import Axis, Role, TensorType

Step = Callable[[Array, Sequence[Array]], Sequence[Array]]
"""From a frame and the states before it to the states behind it; the first is the cell's output."""


def state_type(x: TensorType, channels: Extent) -> TensorType:
    """The type of one frame's channels: x without its sequence axis (a unit axis in a laid-out type)."""
    at, time = x.find(Role.CHANNEL), x.sequence
    assert at is not None
    assert time is not None
    y = x.with_axis(at, Axis(Role.CHANNEL, channels))
    if laid_out(x):
        return y.with_axis(time, Axis(Role.UNIT, Extent.of(1)))
    return y.with_axes(axis for i, axis in enumerate(y.axes) if i != time)


def check_state(op: Op, operand: str, expected: TensorType) -> None:
    state = op.operand(operand)
    if state is not None and state.type != expected:
        raise InferenceError(f"{operand} must be {expected}, not {state.type}", operand)


class Cell(Op):
    """Base: x [.., T, I] to y [.., T, H]; weights stack the gates along their first axis."""

    x = operand()
    weight_ih = operand()
    weight_hh = operand()
    matrices = {"weight_ih": 0, "weight_hh": 0}
    rounds = True
    stacked: int  # gates, along the first axis of the weights
    hidden: tuple[str, ...]

    def infer(self) -> Sequence[TensorType]:
        x, into, recurrent = self.x.type, self.weight_ih.type, self.weight_hh.type
        at = channel_axis(self.x.type)
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to run along", "x")
        if recurrent.rank != 2 or recurrent.extents[0] != recurrent.extents[1] * self.stacked:
            raise InferenceError(f"weight_hh must be [{self.stacked} * hidden, hidden], not {recurrent}", "weight_hh")
        hidden = recurrent.extents[1]
        if into.extents != (hidden * self.stacked, x.extents[at]):
            raise InferenceError(
                f"weight_ih must be [{hidden * self.stacked}, {x.extents[at]}], not {into}", "weight_ih"
            )
        for name in ("bias", "bias_ih", "bias_hh"):
            bias = self.operand(name)
            if bias is not None and bias.type.extents != (hidden * self.stacked,):
                raise InferenceError(f"{name} must be [{hidden * self.stacked}], not {bias.type}", name)
        check_mask(self.operand("mask"), x)
        state = state_type(x, hidden)
        for name in self.hidden:
            check_state(self, name, state)
        return (x.with_axis(at, Axis(Role.CHANNEL, hidden)), *[state] * len(self.hidden))

    def macs(self) -> int:
        """Both matrices of gates, once a frame."""
        return (
            self.result.type.size
            // self.weight_hh.type.shape[1]
            * (self.weight_ih.type.size + self.weight_hh.type.size)
        )

    def behaviour(self) -> TimeBehaviour:
        return Recurrent(tuple((name, i + 1) for i, name in enumerate(self.hidden)), "mask")

    def run(self, x: Array, states: Sequence[Array | None], mask: Array | None, step: Step) -> Sequence[Array]:
        """Runs `step(frame, states) -> states` over the frames of x; frames have shape [..., channels]."""
        at, time = channel_axis(self.x.type), self.x.type.sequence
        assert time is not None
        frames = np.moveaxis(x, (time, at), (0, -1))
        hidden = self.weight_hh.type.extents[1].value
        keep_unit = laid_out(self.x.type)
        carried = []
        for state in states:
            if state is None:
                carried.append(np.zeros((*frames.shape[1:-1], hidden), x.dtype))
                continue
            kept = np.take(state, 0, axis=time) if keep_unit else state
            carried.append(np.moveaxis(kept, at if not (at > time) else at - 1, -1))
        told = self.operand("mask")
        marks = np.ones([1] * x.ndim) if mask is None or told is None else mask_along(told.type, self.x.type, mask)
        exists = np.broadcast_to(np.moveaxis(marks, (time, at), (0, -1)) != 0, (*frames.shape[:-1], 1))
        outputs = []
        for frame, mark in zip(frames, exists):
            new = step(frame, carried)
            carried = [np.where(mark, n, old) for n, old in zip(new, carried)]
            outputs.append(carried[0])
        y = np.moveaxis(np.stack(outputs), (0, -1), (time, at))
        back = [np.moveaxis(c, -1, at if not (at > time) else at - 1) for c in carried]
        return [y, *(np.expand_dims(b, time) if keep_unit else b for b in back)]


@declare
class Lstm(Cell):
    """LSTM: gates i, f, g, o; c' = f*c + i*g, h' = o*tanh(c'). Weights [4H, I] and [4H, H], bias [4H].

    A frame of 0 in `mask` [T] or [batch, T] leaves the states as they were; its result is the h before it.
    """

    name = "lstm"
    example = Example(
        {"x": X, "wi": "f32[16, 8]", "wh": "f32[16, 4]", "b": "f32[16]"}, ("%0, %1, %2 = lstm(%x, %wi, %wh, %b)",)
    )
    bias = optional_operand()
    h = optional_operand()
    c = optional_operand()
    mask = mask_operand()
    takes = FLOATS
    stacked, hidden = 4, ("h", "c")

    def reference(
        self,
        x: Array,
        weight_ih: Array,
        weight_hh: Array,
        bias: Array | None,
        h0: Array | None,
        c0: Array | None,
        mask: Array | None,
        rounding: Rounding = EXACT,
    ) -> Sequence[Array]:

        def step(frame: Array, states: Sequence[Array]) -> list[Array]:
            h, c = states
            gates = frame @ weight_ih.T + h @ weight_hh.T + (0 if bias is None else bias)
            i, f, g, o = np.split(gates, 4, -1)
            c = rounding.gate(sigmoid(f)) * c + rounding.gate(sigmoid(i)) * np.tanh(g)
            return [rounding.gate(sigmoid(o)) * np.tanh(c), c]

        return self.run(x, (h0, c0), mask, step)


@declare
class Gru(Cell):
    """GRU: gates r, z, n; n = tanh(W x + b + r*(U h + d)), h' = (1-z)*n + z*h. Weights [3H, I] and [3H, H].

    `mask` as in `lstm`.
    """

    name = "gru"
    example = Example({"x": X, "wi": "f32[12, 8]", "wh": "f32[12, 4]"}, ("%0, %1 = gru(%x, %wi, %wh)",))
    bias_ih = optional_operand()
    bias_hh = optional_operand()
    h = optional_operand()
    mask = mask_operand()
    takes = FLOATS
    stacked, hidden = 3, ("h",)

    def reference(
        self,
        x: Array,
        weight_ih: Array,
        weight_hh: Array,
        bias_ih: Array | None,
        bias_hh: Array | None,
        h0: Array | None,
        mask: Array | None,
        rounding: Rounding = EXACT,
    ) -> Sequence[Array]:

        def step(frame: Array, states: Sequence[Array]) -> list[Array]:
            (h,) = states
            from_x = np.split(frame @ weight_ih.T + (0 if bias_ih is None else bias_ih), 3, -1)
            from_h = np.split(h @ weight_hh.T + (0 if bias_hh is None else bias_hh), 3, -1)
            r, z = rounding.gate(sigmoid(from_x[0] + from_h[0])), rounding.gate(sigmoid(from_x[1] + from_h[1]))
            return [(1 - z) * np.tanh(from_x[2] + r * from_h[2]) + z * h]

        return self.run(x, (h0,), mask, step)
