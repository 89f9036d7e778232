"""What cannot be streamed is refused at the op's place, in words that name the op and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.program import Value
from mctc.language import elaborate_file
from mctc.streaming.derive import derive_program

from .programs import Draft
from .small import PLACE, Body, conv, small


def attend(left: int | None, right: int | None) -> Body:
    return lambda g, x: g.op("attention", x, x, x, None, heads=1, left=left, right=right)


def lstm(g: Draft, x: Value) -> tuple[Value, ...]:
    return g.builder.emit("lstm", x, g.param(16, 4), g.param(16, 4), g.param(16))


def scores(g: Draft, x: Value) -> Value:
    return g.op("matmul", x, g.op("transpose", x, order=(0, 2, 1)))


WHOLE: dict[str, tuple[Body, str]] = {
    "mean over time": (lambda g, x: g.op("sub", x, g.op("reduce_mean", x, axis="time")), "reduce_mean"),
    "reverse": (lambda g, x: g.op("reverse", x), "reverse"),
    "counting frames": (lambda g, x: g.op("positional_embedding", x, g.param(9, 4)), "counts frames"),
    "padding": (lambda g, x: g.op("pad", x, axis="time", before=2), "pad"),
    "joining utterances": (lambda g, x: g.op("concat", x, x, axis="time"), "concat"),
    "unbounded past": (attend(None, 0), "before it"),
    "unbounded future": (attend(3, None), "after it"),
    "products of all frames": (scores, "matmul"),
    "the final state": (lambda g, x: g.op("add", x, lstm(g, x)[1]), "final state of lstm"),
    "what is computed of the final state": (
        lambda g, x: g.op("add", x, g.op("tanh", lstm(g, x)[1])),
        "final state of lstm",
    ),
}


@pytest.mark.parametrize("what", WHOLE)
def test_an_op_that_needs_the_whole_utterance_is_an_error_at_its_place(what: str) -> None:
    body, words = WHOLE[what]
    with pytest.raises(DiagnosticError) as caught:
        small(body).step(4)
    (found,) = caught.value.diagnostics
    assert found.code == "MCT0201"
    assert words in found.message
    assert found.file == str(PLACE)


CAUSAL = """
model m {{
    dim B: batch
    dim {axis}
    component c(x: f32[B, L, 4]) -> f32[B, L, 4] {{ return attention(x, x, x, heads = 1, right = 0) }}
}}
"""


@pytest.mark.parametrize(
    ("axis", "way_out"), [("L: time @ 100 Hz", "utterance { length ="), ("L: label", "utterance { labels =")]
)
def test_the_way_out_is_a_longest_utterance_of_frames_or_of_labels(axis: str, way_out: str, tmp_path: Path) -> None:
    path = tmp_path / "m.mct"
    path.write_text(CAUSAL.format(axis=axis))
    with pytest.raises(DiagnosticError) as caught:
        derive_program(elaborate_file(path), 4)
    assert way_out in (caught.value.diagnostics[0].hint or "")


@pytest.mark.parametrize("stride", [2, 4])
def test_a_chunk_that_gives_no_whole_frames_is_an_error_that_says_which_chunk_would(stride: int) -> None:
    case = small(lambda g, x: conv(g, x, 1, stride - 1, stride))
    with pytest.raises(DiagnosticError) as caught:
        case.step(stride + 1)
    (found,) = caught.value.diagnostics
    assert found.code == "MCT0202"
    assert found.message == f"a chunk of {stride + 1} frames of T gives no whole number of frames for T/{stride}"
    assert f"a multiple of {stride} frames" in (found.hint or "")
    assert case.step(2 * stride)[1].frames == {"x0": 2 * stride, "y": 2}
