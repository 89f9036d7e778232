"""Recurrent ops that start from a given value: the state of a stream holds how far it is from that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Axis, Role

from .programs import Case, Draft
from .small import conv, small

Cell = Callable[[Draft, Value, Value], Value]  # from x [B, T, 4] and start [B, 4], or [B, 4, 2] of a scan


def lstm(g: Draft, x: Value, start: Value) -> Value:
    return g.op("lstm", x, g.param(16, 4), g.param(16, 4), g.param(16), start, g.op("tanh", start))


def lstm_with_a_cell_of_its_own(g: Draft, x: Value, start: Value) -> Value:
    return g.op("lstm", x, g.param(16, 4), g.param(16, 4), None, None, start)


def gru(g: Draft, x: Value, start: Value) -> Value:
    return g.op("gru", x, g.param(12, 4), g.param(12, 4), g.param(12), None, start)


def selective_scan(g: Draft, x: Value, start: Value) -> Value:
    a = g.op("neg", g.op("exp", g.param(4, 2)))
    return g.op("selective_scan", x, g.op("softplus", x), a, g.linear(x, 2), g.linear(x, 2), None, start)


def ssd(g: Draft, x: Value, start: Value) -> Value:
    a = g.op("neg", g.op("exp", g.param(2)))
    return g.op("ssd", x, g.op("softplus", g.linear(x, 2)), a, g.linear(x, 2), g.linear(x, 2), None, start)


SCANS: tuple[Cell, ...] = (selective_scan, ssd)
CELLS: tuple[Cell, ...] = (lstm, lstm_with_a_cell_of_its_own, gru, *SCANS)


def started(cell: Cell, ahead: int) -> Case:
    """A cell behind a window, whose start is an input."""

    def body(g: Draft, x: Value) -> Value:
        batch, _, channel = x.type.axes
        states = [Axis(Role.FEATURE, Extent.of(2))] if cell in SCANS else []
        return cell(g, conv(g, x, 1, ahead), g.input(x.type.with_axes([batch, channel, *states])))

    return small(body)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_starts_from_a_value_that_is_given_with_every_call(cell: Cell, ahead: int) -> None:
    case = started(cell, ahead)
    rng = np.random.default_rng(0)
    shape = (1, 4, 2) if cell in SCANS else (1, 4)
    inputs = {"x0": rng.normal(size=(1, 13, 4)), "x1": rng.normal(size=shape)}
    whole = case.whole(inputs)["y"]
    assert np.abs(whole - case.whole({**inputs, "x1": np.zeros(shape)})["y"]).max() > 0.01
    for chunk in (1, 3, 13):
        np.testing.assert_allclose(case.streamed(inputs, [chunk])["y"], whole, rtol=1e-9, atol=1e-12)


def test_a_state_that_starts_from_a_value_is_zero_before_the_first_frame() -> None:
    step, _ = started(gru, 0).step(4)
    state = next(state for state in step.states if state.name.endswith("h"))
    assert state.update.owner is not None
    assert state.update.owner.name == "sub"
