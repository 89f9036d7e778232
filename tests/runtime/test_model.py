"""`mctc.open`: audio in pieces of any length becomes events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import mctc
from mctc.audio import load_audio
from mctc.build.options import BuildError
from mctc.runtime.model import Event, Model
from tests.said import RATE, SAID


@pytest.fixture(scope="module")
def model(said: Path) -> Model:
    return mctc.open(said / "trained")


def cut(samples: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Pieces of these sizes, again and again."""
    bounds = np.cumsum(np.resize(sizes, len(samples) // min(sizes) + 1))
    return np.split(samples, bounds[bounds < len(samples)])


def finals(events: Sequence[Event]) -> list[tuple[str, tuple[object, ...]]]:
    return [(event.text, event.words) for event in events if event.kind == "final"]


def test_utterances_end_with_final_words_and_what_ended_them(model: Model, said: Path) -> None:
    events = list(model.transcribe([load_audio(said / "pause.wav")]))
    assert [event.text for event in events if event.kind == "final"] == [SAID, SAID]
    assert [event.rule for event in events if event.kind == "endpoint"] == ["silence after words"]
    kinds = [event.kind for event in events if event.kind != "partial"]
    assert kinds == ["final", "endpoint", "final"]
    last = next(event for event in reversed(events) if event.kind == "final")
    assert [word.start for word in last.words] == pytest.approx([5.0, 5.9, 6.8], abs=0.05)


@pytest.mark.parametrize("sizes", [[1000], [5120], [1, 9000, 37], [100_000]])
def test_pieces_of_any_length_give_the_same_words(sizes: list[int], model: Model, said: Path) -> None:
    samples = load_audio(said / "pause.wav")
    whole = finals(list(model.transcribe([samples])))
    assert finals(list(model.transcribe(cut(samples, sizes)))) == whole


def test_settled_words_never_change(model: Model, said: Path) -> None:
    before: tuple[str, ...] = ()
    for event in model.transcribe(cut(load_audio(said / "pause.wav"), [1600])):
        if event.kind == "endpoint":
            before = ()
            continue
        words = [word.text for word in event.words]
        assert tuple(words[: len(before)]) == before
        before = tuple(words[: event.settled])


def test_arrays_of_other_kinds_are_the_same_sound(model: Model, said: Path) -> None:
    samples = load_audio(said / "talks/one.wav")
    whole = np.rint(samples * 2**15).astype(np.int16)
    stereo = np.stack([samples, samples], axis=1)
    for given in (whole, whole.astype(np.int32) << 16, stereo, samples.astype(np.float64)):
        assert [event.text for event in model.transcribe([given]) if event.kind == "final"] == [SAID]


def test_another_rate_is_resampled(model: Model, said: Path) -> None:
    twice = np.repeat(load_audio(said / "talks/one.wav"), 2)
    assert [e.text for e in model.transcribe(cut(twice, [3000]), rate=2 * RATE) if e.kind == "final"] == [SAID]


def test_streams_of_one_model_do_not_hear_one_another(model: Model, said: Path) -> None:
    samples = load_audio(said / "talks/one.wav")
    sessions = [model.session(), model.session()]
    heard: list[list[Event]] = [[], []]
    for piece in cut(samples, [4000]):
        for session, events, given in zip(sessions, heard, (piece, 0 * piece)):
            events += session.push(given)
    for session, events in zip(sessions, heard):
        events += session.close()
    assert finals(heard[0]) == finals(list(model.transcribe([samples])))
    assert finals(heard[1]) == []


@pytest.mark.parametrize("wrong", [np.zeros(8, np.uint8), np.zeros((2, 2, 2)), np.zeros(3, bool)])
def test_what_is_no_sound_is_an_error(wrong: np.ndarray, model: Model) -> None:
    with pytest.raises(ValueError, match="samples are floats, or whole numbers"):
        list(model.transcribe([wrong]))


def test_a_build_that_has_no_words_is_refused(said: Path) -> None:
    with pytest.raises(BuildError, match="is untrained"):
        mctc.open(said / "untrained")
    with pytest.raises(BuildError, match="has no tokens"):
        mctc.open(said / "nameless")
