"""`final`: what recurrences leave behind, by name."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function
from mctc.streaming.derive import derive_program
from mctc.streaming.run import stream

from .conftest import Check, Elaborate, component

ENDS = {
    "lstm": ("y = lstm(x, 8)", 'final(y, "h") + final(y, "c")'),
    "gru": ("y = gru(x, 8)", "final(y)"),
    "scan from a number": ("scan h: f32[B, T, 8] = 0.5 { h = 0.5 * h + x }", "final(h)"),
    "scan from a large number behind a delay": (
        "y = conv1d(x, 8, 3, look_ahead = 2); scan h: f32[B, T, 8] = 1e4 { h = h / (1 + abs(h)) + y }",
        "final(h)",
    ),
    "scan of two": (
        "scan a: f32[B, T, 8], m: f32[B, T, 8] { a = 0.5 * a + x; m = maximum(m, a) }",
        "final(a) - final(m)",
    ),
    "selective_scan": (
        "param A: f32[8, 2] = -1; u = linear(x, 2); y = selective_scan(x, softplus(x), A, u, u)",
        'reshape(reduce_sum(final(y), axis = "feature"), [["batch", B], ["channel", 8]])',
    ),
    "ssd": (
        "param A: f32[2] = -1; u = linear(x, 2); y = ssd(x, softplus(u), A, u, u)",
        'reshape(reduce_sum(final(y, "h"), axis = "feature"), [["batch", B], ["channel", 8]])',
    ),
    "scan behind a delay": (
        "y = conv1d(x, 8, 3, look_ahead = 2); scan h: f32[B, T, 8] { h = 0.9 * h + y }",
        "final(h)",
    ),
}


def values(elaborated: object) -> dict[str, Array]:
    sources = elaborated.sources  # type: ignore[attr-defined]
    draw = np.random.default_rng(3)
    return {name: 0.3 * draw.normal(size=type_.shape) for name, (type_, _) in sorted(sources.items())}


@pytest.mark.parametrize("name", ENDS)
def test_a_stream_ends_in_the_state_of_the_whole(name: str, elaborate: Elaborate) -> None:
    """Eleven frames in chunks of 4, 3 and 2, whose last call is filled up with frames that do not exist."""
    body, asked = ENDS[name]
    program = elaborate(component(body, f"return {asked}", result="f32[B, 8]"))
    known = values(program)
    x = np.random.default_rng(0).normal(size=(1, 11, 8))
    (whole,) = evaluate(program.functions["c"], {"x": x}, known.__getitem__)[0].values()

    def step(chunk: int) -> tuple[Function, object]:
        made, infos = derive_program(program, chunk)
        return made.functions["c"], infos["c"]

    def call(function: Function, given: dict[str, Array], state: object) -> object:
        return evaluate(function, given, known.__getitem__, state)  # type: ignore[arg-type]

    (ended,) = stream(step, {"x": x}, [4, 3, 2], call).values()  # type: ignore[arg-type]
    np.testing.assert_allclose(ended, whole, rtol=1e-10, atol=1e-12)
    assert np.abs(whole).max() > 0.01


def test_the_end_of_a_scan_is_its_last_frame(elaborate: Elaborate) -> None:
    body = "param start: f32[8] = 1; scan h: f32[B, T, 8] = start { h = 0.5 * h + x }"
    program = elaborate(component(body, "return final(h)", result="f32[B, 8]"))
    x, h = np.random.default_rng(0).normal(size=(1, 5, 8)), np.arange(8.0)
    (found,) = evaluate(program.functions["c"], {"x": x}, {"c.start": h}.__getitem__)[0].values()
    for frame in x[0]:
        h = 0.5 * h + frame
    np.testing.assert_allclose(found[0], h, rtol=1e-12)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("final(x)", "what no recurrence gave"),
        ("final(3)", "can't be asked of"),
        ('final(y, "q")', "there is no state"),
        ("final(y, 1)", "there is no state"),
    ],
)
def test_what_has_no_end_is_told(asked: str, told: str, check: Check) -> None:
    (found,) = check(component("y = lstm(x, 8)", f"return {asked}", result="f32[B, 8]"))
    assert found.code == "MCT0076"
    assert told in found.message
