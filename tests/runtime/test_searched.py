"""Searches over builds."""

from __future__ import annotations

from pathlib import Path

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.settings import Settings
from mctc.runtime.built import Built, open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.speech import front_end, mel_chunks, transcribe


def heard(built: Built, speech: Path, settings: Settings) -> tuple[Recogniser, Hypothesis]:
    model = recogniser(built, "fp32")
    encoder, search = model.stream(), model.search(settings)
    for mel, valid in mel_chunks(front_end(built), speech, encoder.chunk):
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
