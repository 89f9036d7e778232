"""LSTM and GRU as ONNX's own, whose gates stand in another order; a frame that may not exist goes through a Scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.recurrent import Gru, Lstm
from mctc.ir.ops.shape import laid_out, product
from mctc.ir.program import Value
from mctc.targets.onnx.graph import GraphEmitter, Result
from mctc.targets.onnx.rules.axes import arranged, inverse, order_to
from mctc.targets.onnx.rules.frames import Carried, scan_frames
from mctc.targets.onnx.rules.mask import marks_along

RULES = Rules[GraphEmitter, Result]()

LSTM_GATES = (0, 3, 1, 2)  # ONNX: input, output, forget, cell; the IR: input, forget, cell, output
GRU_GATES = (1, 0, 2)  # ONNX: update, reset, hidden; the IR: reset, update, new


class _Cell:
    """One application: x as [frames, all other axes but the channels, channels], states as [1, those, channels]."""

    def __init__(self, op: Lstm | Gru, e: GraphEmitter, kind: str, gates: Sequence[int]) -> None:
        self.op, self.e, self.kind, self.gates = op, e, kind, gates
        x = op.x.type
        assert x.sequence is not None
        self.channel, self.time = channel_axis(x), x.sequence
        self.order = order_to(x.rank, [self.time, self.channel], [0, -1])
        self.moved = arranged(x.extents, self.order)
        self.many = product(self.moved[1:-1])
        self.hidden = op.weight_hh.type.extents[1]

    def run(self, biases: Sequence[Value | None], states: Sequence[str], **attributes: int) -> list[str]:
        e, op = self.e, self.op
        weights = [self._gates(e.ref(weight)) for weight in (op.weight_ih, op.weight_hh)]
        weights.append(self._bias(biases))
        x = e.transposed(e.ref(op.x), self.order)
        x = e.reshaped(x, self.moved, [self.moved[0], self.many, self.moved[-1]])
        held = [self._taken(op.operand(name)) for name in states]
        size: dict[str, Any] = {"hidden_size": self.hidden.value, **attributes}
        if op.mask is None:
            y, *new = e.several(self.kind, [x, *weights, "", *held], 1 + len(held), **size)
            y = e.node("Squeeze", y, e.ints([1]))
        else:
            y, *new = self._masked(x, op.mask, weights, held, size)
        return [self._frames(y), *(self._given(name) for name in new)]

    def _masked(
        self, x: str, mask: Value, weights: Sequence[str], held: Sequence[str], size: dict[str, Any]
    ) -> list[str]:
        """Frame by frame: one that does not exist leaves the states as they were."""
        e = self.e
        held = [name or self._zeros() for name in held]
        marks = e.cast(self._marks(mask), "bool")

        def frame(states: Sequence[str], slices: Sequence[str]) -> tuple[list[str], list[str]]:
            one = e.node("Unsqueeze", slices[0], e.ints([0]))
            _, *made = e.several(self.kind, [one, *weights, "", *states], 1 + len(states), **size)
            new = [e.node("Where", slices[1], after, before) for after, before in zip(made, states)]
            return new, [e.node("Squeeze", new[0], e.ints([0]))]

        shape, row = [Extent.of(1), self.many, self.hidden], [self.many, self.moved[-1]]
        states = [Carried(name, shape) for name in held]
        return scan_frames(
            e,
            states,
            [Carried(x, row), Carried(marks, [self.many, Extent.of(1)], "bool")],
            frame,
            [[self.many, self.hidden]],
        )

    def _marks(self, mask: Value) -> str:
        """The mask as [frames, all other axes but the channels, 1]."""
        e = self.e
        name, extents = marks_along(mask, self.op.x, e)
        wanted = [*self.moved[:-1], Extent.of(1)]
        name = e.transposed(name, self.order)
        if arranged(extents, self.order) != wanted:
            name = e.node("Expand", name, e.sizes.shape(wanted))
        return e.reshaped(name, wanted, [self.moved[0], self.many, Extent.of(1)])

    def _gates(self, weight: str) -> str:
        """The gates in ONNX's order, below a leading axis of one direction."""
        e = self.e
        parts = e.several("Split", [weight], len(self.gates), axis=0, num_outputs=len(self.gates))
        return e.node("Unsqueeze", e.node("Concat", *(parts[i] for i in self.gates), axis=0), e.ints([0]))

    def _bias(self, biases: Sequence[Value | None]) -> str:
        """Both biases end to end; '' where there are none."""
        if not any(biases):
            return ""
        both = [self._gates(self.e.ref(bias)) if bias else self._no_bias() for bias in biases]
        return self.e.node("Concat", *both, axis=1)

    def _no_bias(self) -> str:
        return self._filled([Extent.of(1), self.hidden * len(self.gates)])

    def _zeros(self) -> str:
        return self._filled([Extent.of(1), self.many, self.hidden])

    def _filled(self, extents: Sequence[Extent]) -> str:
        return self.e.node("Expand", self.e.number(0, self.op.result.type), self.e.sizes.shape(extents))

    # states and frames, as the IR has them and as ONNX wants them

    def _state_order(self) -> tuple[list[int], list[Extent]]:
        """Where a state's channels go: last. Its extents then."""
        at = self.channel - (self.channel > self.time)
        return order_to(len(self.moved) - 1, [at], [-1]), [*self.moved[1:-1], self.hidden]

    def _taken(self, state: Value | None) -> str:
        if state is None:
            return ""
        e, name = self.e, self.e.ref(state)
        if laid_out(self.op.x.type):
            name = e.node("Squeeze", name, e.ints([self.time]))
        order, extents = self._state_order()
        return e.reshaped(e.transposed(name, order), extents, [Extent.of(1), self.many, self.hidden])

    def _given(self, name: str) -> str:
        e = self.e
        order, extents = self._state_order()
        name = e.reshaped(name, [Extent.of(1), self.many, self.hidden], extents)
        name = e.transposed(name, inverse(order))
        return e.node("Unsqueeze", name, e.ints([self.time])) if laid_out(self.op.x.type) else name

    def _frames(self, y: str) -> str:
        moved = [*self.moved[:-1], self.hidden]
        y = self.e.reshaped(y, [self.moved[0], self.many, self.hidden], moved)
        return self.e.transposed(y, inverse(self.order))


@RULES.of(Lstm)
def _lstm(op: Lstm, e: GraphEmitter) -> list[str]:
    return _Cell(op, e, "LSTM", LSTM_GATES).run([op.bias, None], ["h", "c"])


@RULES.of(Gru)
def _gru(op: Gru, e: GraphEmitter) -> list[str]:
    biases = [op.bias_ih, op.bias_hh]
    return _Cell(op, e, "GRU", GRU_GATES).run(biases, ["h"], linear_before_reset=1)
