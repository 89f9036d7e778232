"""Searches over builds."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.settings import Method, Settings
from mctc.driver import BuildOptions, build
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.speech import chunks_of, transcribe
from mctc.runtime.stream import front_end_of


def heard(built: Built, speech: Path, settings: Settings) -> tuple[Recogniser, Hypothesis]:
    model = recogniser(built, "fp32")
    encoder, search = model.stream(), model.search(settings)
    for mel, valid in chunks_of(front_end_of(built), speech, encoder.chunk):
        search.accept(encoder.push(mel, valid))
    search.accept(encoder.finish())
    return model, search.finish()[0]


def test_greedy_search_of_a_transducer_calls_its_functions_once_a_label_and_chunk(ahead: Path, speech: Path) -> None:
    built = open_built(ahead)
    model, found = heard(built, speech, Settings(max_symbols=2))
    expected = transcribe(built, speech, "fp32", Settings(max_symbols=2))
    assert expected.emissions == list(zip(found.ids, found.frames))
    assert found.ids
    assert model.engine is not None
    assert model.engine.calls["predictor"] == len(found.ids) + 1


@pytest.mark.parametrize("method", ["greedy", "time-synchronous"])
def test_durations_are_the_last_entries_of_the_vocabulary(method: Method, small: Path, speech: Path) -> None:
    """31 entries, of which four are durations here."""
    told = Settings(method=method, durations=(0, 1, 2, 4), max_symbols=2)
    _, found = heard(open_built(small), speech, told)
    assert found.ids
    assert max(found.ids) < 27
    assert max(found.frames.count(frame) for frame in found.frames) <= 2


RUNTIMES = {
    "onnx": ("onnxruntime", BuildOptions(target="onnx")),
    "coreai": ("coreai", BuildOptions(target="coreai", precision="fp32")),
    "torch": ("torch", BuildOptions(target="torch")),
    "states as inputs": ("numpy", BuildOptions(state="io")),
}


@pytest.mark.quick("onnx", "coreai", "states as inputs")
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_beam_finds_the_same_in_every_runtime(
    name: str, ahead: Path, speech: Path, root: Path, tmp_path: Path
) -> None:
    """Hypotheses share states there as well: what one call left is found again by another."""
    library, options = RUNTIMES[name]
    pytest.importorskip(library)
    folder = build(root / "tests/runtime/ahead.mct", tmp_path / "out", options).folder
    told = Settings(method="time-synchronous", beam=3, max_symbols=2, n_best=3)
    found, expected = (heard(open_built(each), speech, told)[1] for each in (folder, ahead))
    assert found.ids == expected.ids
    assert found.frames == expected.frames
    assert found.score == pytest.approx(expected.score, abs=0.05)


def test_hypotheses_that_are_predicted_together_are_what_each_is_alone(small: Path) -> None:
    engine = recogniser(open_built(small), "fp32").engine
    assert engine is not None
    _, (one,) = engine.predict([0], [engine.start()])
    both, states = engine.predict([3, 4], [one, one])
    for label, vector, state in zip([3, 4], both, states, strict=True):
        alone, (after,) = engine.predict([label], [one])
        assert (alone[0] == vector).all()
        (next_alone,), _ = engine.predict([5], [after])
        (next_together,), _ = engine.predict([5], [state])
        assert (next_alone == next_together).all()
