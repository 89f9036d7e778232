"""Loops of the author's own against loops written out here, and what a program with one must hold to."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program, print_program
from mctc.ir.verify import VerificationError, verify

X = "%x: f32[batch B, time T, channel 4]"
LAID = "%x: f32[batch B, channel 4, unit 1, time T]"
STATE = "scan_state(axes = [batch B, time T, channel 4], state = h)"
LAID_STATE = "scan_state(axes = [batch B, channel 4, unit 1, time T], state = h)"
BODY = "%1 = tanh(%0) %2 = add(%1, %x) %3 = scale(%0, factor = 0.5) %y, %g, %h = scan(%0, %2, %3)"


@pytest.mark.parametrize(("inputs", "state", "time"), [(X, STATE, 1), (LAID, LAID_STATE, 3)])
def test_a_loop_runs_frame_by_frame(inputs: str, state: str, time: int) -> None:
    text = (
        f"dim B: batch dim T: time @ 100 function @f({inputs}) {{ %0 = {state} {BODY} return y = %y, g = %g, h = %h }}"
    )
    program = parse_program(f"program @p {{ {text} }}")
    verify(program)
    assert print_program(parse_program(print_program(program))) == print_program(program)
    x = np.random.default_rng(0).normal(size=(2, 5, 4) if time == 1 else (2, 4, 1, 5))
    h, rows, gates = np.zeros_like(x.take(0, time)), [], []
    for t in range(5):
        gates.append(0.5 * h)
        h = np.tanh(h) + x.take(t, time)
        rows.append(h)
    found, _ = evaluate(program.functions["f"], {"x": x}, {}.__getitem__)
    np.testing.assert_allclose(found["y"], np.stack(rows, time))
    np.testing.assert_allclose(found["g"], np.stack(gates, time))
    np.testing.assert_allclose(found["h"].reshape(h.shape), h)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("%1 = tanh(%0) %y, %h = scan(%0, %1) return y = %1", "leaves the function"),
        ("%1 = tanh(%0) return y = %x", "no scan takes this state"),
        ("%1 = reverse(%0) %y, %h = scan(%0, %1) return y = %y", "other frames"),
        ("%y, %h = scan(%x, %x) return y = %y", "no results of scan_state"),
    ],
)
def test_a_loop_is_closed(body: str, told: str) -> None:
    program = parse_program(f"function @f({X}) {{ %0 = {STATE} {body} }}")
    with pytest.raises(VerificationError, match=told):
        verify(program)
