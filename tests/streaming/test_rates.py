"""Time dimensions of several rates: a chunk is one time for all of them, whatever their order."""

from __future__ import annotations

from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.driver.chunk import lengths
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.streaming.derive import derive_program
from mctc.streaming.run import stream
from mctc.weights import Weights

DIMENSIONS = {"A": 100, "V": 25, "L": 50}
HEARS = """
    component hears(a: f32[B, A, 4]) -> f32[B, A/2, 4] { return conv1d(a, 4, 4, stride = 2, look_ahead = 2) }
    component sees(v: f32[B, V, 4]) -> f32[B, V, 4] { return conv1d(v, 4, 3, look_ahead = 1) }
    component reads(l: f32[B, L, 4]) -> f32[B, L, 4] { return gru(l, 4) }
"""
BOTH = """
    component both(a: f32[B, A, 4], v: f32[B, V, 4]) -> f32[B, A, 4] { return a + attention(a, v, v, heads = 2) }
"""


def program(folder: Path, body: str, order: str = "AVL") -> Program:
    dims = "".join(f"    dim {name}: time @ {DIMENSIONS[name]} Hz\n" for name in order)
    path = folder / "rates.mct"
    path.write_text(f"model rates {{\n    dim B: batch\n    dim U: label\n{dims}{body}}}\n")
    return elaborate_file(path)


@pytest.mark.parametrize("order", ["AVL", "LVA", "VAL"])
@pytest.mark.parametrize("chunk", ["80 ms", "8 frames"])  # frames are those of the fastest dimension
def test_every_dimension_gets_its_own_frames_for_the_chunk(order: str, chunk: str, tmp_path: Path) -> None:
    made = program(tmp_path, HEARS + f"    stream {{ chunk = {chunk} }}\n", order)
    infos = derive_program(made, lengths(made, None))[1]
    assert {name: (info.chunk, info.symbol) for name, info in infos.items()} == {
        "hears": (8, "A"), "sees": (2, "V"), "reads": (4, "L"),
    }  # fmt: skip
    assert {info.chunk_ms for info in infos.values()} == {80.0}
    assert infos["sees"].latency_ms("output") == 120.0
    assert infos["hears"].frames == {"a": 8, "output": 4}


def test_each_step_over_its_chunks_equals_the_whole(tmp_path: Path) -> None:
    made = program(tmp_path, HEARS + "    stream { chunk = 40 ms }\n")
    steps, infos = derive_program(made, lengths(made, None))
    weights, rng = Weights(made.sources), np.random.default_rng(0)

    def value(key: str) -> Array:
        return weights.value(made.parameters[key])

    for name, function in made.functions.items():
        frames = 7 * infos[name].chunk  # the same time for each
        given = {each.name: rng.normal(size=(1, frames, 4)) for each in function.inputs}
        whole = evaluate(function, given, value)[0]["output"]
        step = (steps.functions[name], infos[name])
        got = stream(
            lambda _, made=step: made, given, repeat(infos[name].chunk), lambda f, i, s: evaluate(f, i, value, s)
        )
        np.testing.assert_allclose(got["output"], whole, rtol=1e-9)


@pytest.mark.parametrize(
    ("chunk", "told", "at"),
    [
        ("20 ms", "a chunk of 20 ms is 0.5 frames of V at 25 Hz", "sees"),
        ("6 frames", "a chunk of 60 ms is 1.5 frames of V at 25 Hz", "sees"),
        ("15 ms", "a chunk of 15 ms is 1.5 frames of A at 100 Hz", "chunk"),
    ],
)
def test_a_chunk_that_a_rate_does_not_divide_is_refused(chunk: str, told: str, at: str, tmp_path: Path) -> None:
    faster = "    component faster(a: f32[B, A, 4]) -> f32[B, A, 4] { return tanh(a) }\n"
    made = program(tmp_path, faster + HEARS + f"    stream {{ chunk = {chunk} }}\n")
    with pytest.raises(DiagnosticError) as caught:
        _derived(made)
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == (
        "MCT0202", "every time dimension needs a whole number: choose a multiple of 40 ms"
    )  # fmt: skip
    assert told in found.message
    assert found.span is not None
    assert found.span.text == at


def _derived(made: Program) -> None:
    derive_program(made, lengths(made, None))


def test_a_component_of_two_time_dimensions_takes_whole_utterances_or_is_refused(tmp_path: Path) -> None:
    streamed = HEARS + BOTH + "    stream { chunk = 40 ms }\n"
    made = program(tmp_path, streamed)
    with pytest.raises(DiagnosticError, match="both takes frames of A and V") as caught:
        derive_program(made, lengths(made, None))
    assert caught.value.diagnostics[0].code == "MCT0201"
    made = program(tmp_path, streamed + "    utterance { length = 400 ms }\n")
    infos = derive_program(made, lengths(made, None))[1]
    assert infos["sees"].streams
    assert (infos["both"].streams, infos["both"].frames) == (False, {"a": 40, "v": 10, "output": 40})


def test_a_decoder_reads_an_utterance_of_every_rate(tmp_path: Path) -> None:
    body = """
    component decoder(q: f32[B, U, 4], a: f32[B, 2 * A, 4], v: f32[B, V, 4]) -> f32[B, U, 4] {
        return q + attention(q, a, a, heads = 1) + attention(q, v, v, heads = 2)
    }
    utterance { length = 200 ms }
"""
    made = program(tmp_path, body)
    step = derive_program(made, lengths(made, None))[0].functions["decoder"]
    assert [value.type.shape[1] for value in step.inputs] == [1, 40, 5]


def test_a_delay_is_counted_in_frames_of_the_input_that_is_finer_than_its_dimension(tmp_path: Path) -> None:
    body = "    component c(x: f32[B, 2 * A, 4]) -> f32[B, 2 * A, 4] { return conv1d(x, 4, 4, look_ahead = 3) }\n"
    made = program(tmp_path, body + "    stream { chunk = 40 ms }\n")
    info = derive_program(made, lengths(made, None))[1]["c"]
    timing = info.timings["output"]
    assert (timing.delay, timing.jump, timing.ahead) == (3, Fraction(1, 2), Fraction(3, 2))
    assert (info.delay_ms("output"), info.frames["x"]) == (15.0, 8)


def test_an_extent_that_is_no_multiple_can_not_be_streamed(tmp_path: Path) -> None:
    made = program(tmp_path, "    component c(x: f32[B, A + 1, 4]) -> f32[B, A + 1, 4] { return x }\n")
    with pytest.raises(DiagnosticError, match=r"c takes A \+ 1 entries"):
        derive_program(made, 4)
