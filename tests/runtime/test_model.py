"""`mctc.open`: audio in pieces of any length becomes events."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mctc
from mctc.audio import load_audio
from mctc.decode import Settings
from mctc.decode.hotwords import Hotwords, Phrase
from mctc.driver.options import BuildError
from mctc.runtime.built import open_built
from mctc.runtime.events import Event, Stream, mono
from mctc.runtime.model import Model
from mctc.runtime.searched import recogniser
from mctc.tokens import Tokens
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
    events = list(model.stream().events([load_audio(said / "pause.wav")]))
    assert [event.text for event in events if event.kind == "final"] == [SAID, SAID]
    assert [event.rule for event in events if event.kind == "endpoint"] == ["silence after words"]
    kinds = [event.kind for event in events if event.kind != "partial"]
    assert kinds == ["final", "endpoint", "final"]
    last = next(event for event in reversed(events) if event.kind == "final")
    assert [word.start for word in last.words] == pytest.approx([5.0, 5.9, 6.8], abs=0.05)


@pytest.mark.parametrize("sizes", [[1000], [5120], [1, 9000, 37], [100_000]])
def test_pieces_of_any_length_give_the_same_words(sizes: list[int], model: Model, said: Path) -> None:
    samples = load_audio(said / "pause.wav")
    whole = finals(list(model.stream().events([samples])))
    assert finals(list(model.stream().events(cut(samples, sizes)))) == whole


def test_settled_words_never_change(model: Model, said: Path) -> None:
    before: tuple[str, ...] = ()
    for event in model.stream().events(cut(load_audio(said / "pause.wav"), [1600])):
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
        assert [event.text for event in model.stream().events([given]) if event.kind == "final"] == [SAID]


def test_another_rate_is_resampled(model: Model, said: Path) -> None:
    twice = np.repeat(load_audio(said / "talks/one.wav"), 2)
    assert [e.text for e in model.stream(2 * RATE).events(cut(twice, [3000])) if e.kind == "final"] == [SAID]


def test_streams_of_one_model_do_not_hear_one_another(model: Model, said: Path) -> None:
    samples = load_audio(said / "talks/one.wav")
    streams = [model.stream(), model.stream()]
    heard: list[list[Event]] = [[], []]
    for piece in cut(samples, [4000]):
        for stream, events, given in zip(streams, heard, (piece, 0 * piece)):
            events += stream.push(given)
    for stream, events in zip(streams, heard):
        events += stream.close()
    assert finals(heard[0]) == finals(list(model.stream().events([samples])))
    assert finals(heard[1]) == []


@pytest.mark.parametrize("kind", [np.uint16, np.int64, np.complex64, bool, object, "U1"])
def test_numbers_that_no_sound_is_written_in_are_an_error(kind: type | str, model: Model) -> None:
    with pytest.raises(ValueError, match="samples are floats, or whole numbers"):
        list(model.stream().events([np.zeros(3, kind)]))


@pytest.mark.parametrize("rate", [0, -1, 1, 10**9, "16000", None, float("nan"), True, 11_025.5])
def test_a_rate_that_no_sound_has_is_named(rate: object, model: Model) -> None:
    for hear in (model.transcribe, lambda _, rate: model.stream(rate=rate)):
        with pytest.raises(mctc.MctcError, match="a rate is 1000 to 1000000 Hz"):
            hear(np.zeros(160, np.float32), rate=rate)  # type: ignore[arg-type]


def test_a_stream_that_was_closed_takes_no_more(model: Model) -> None:
    stream = model.stream()
    stream.close()
    for again in (stream.close, lambda: stream.push(np.zeros(160, np.float32))):
        with pytest.raises(mctc.MctcError, match="the stream has ended"):
            again()


def test_what_is_no_array_of_samples_is_named(model: Model) -> None:
    for given in (3, None, (np.zeros(160), 16_000)):
        with pytest.raises(mctc.MctcError, match="samples are"):
            model.transcribe(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(), (2, 2, 2), (4, 0), (2, 16_000)])
def test_arrays_that_are_not_samples_by_channels_are_an_error(shape: tuple[int, ...], model: Model) -> None:
    with pytest.raises(ValueError, match="samples are \\[n\\], or \\[n, channels\\]"):
        list(model.stream().events([np.zeros(shape)]))


@pytest.mark.parametrize(
    ("value", "told"), [(np.nan, "not finite"), (np.inf, "not finite"), (9_000.0, "whole numbers of 16 bits as floats")]
)
def test_samples_that_are_no_sound_are_an_error_and_the_stream_goes_on(
    value: float, told: str, model: Model, said: Path
) -> None:
    samples = load_audio(said / "talks/one.wav")
    stream = model.stream()
    events = stream.push(samples[:8000])
    with pytest.raises(ValueError, match=told):
        stream.push(np.array([0, value]))
    assert finals([*events, *stream.push(samples[8000:]), *stream.close()]) == finals(
        [*model.stream().events([samples])]
    )


@pytest.mark.parametrize("rate", [0, -16_000, 10**9])
def test_a_rate_that_no_sound_has_is_an_error(rate: int, model: Model) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        model.stream(rate)


def test_a_stream_that_has_ended_takes_no_more(model: Model) -> None:
    stream = model.stream()
    stream.close()
    with pytest.raises(ValueError, match="has ended"):
        stream.push(np.zeros(100))
    with pytest.raises(ValueError, match="has ended"):
        stream.close()


def test_samples_of_8_bits_are_sound(model: Model, said: Path) -> None:
    loud = 30 * load_audio(said / "talks/one.wav")  # in 8 bits there is nothing below a 128th of full scale
    whole = np.clip(np.rint(loud * 2**7), -128, 127)
    for given in (whole.astype(np.int8), (whole + 128).astype(np.uint8)):
        assert np.array_equal(mono(given), (whole / 128).astype(np.float32))


def test_streams_in_threads_hear_what_they_hear_alone(small: Path) -> None:
    letters = Tokens("letters", tuple(bytes([ord("a") + at % 26]) for at in range(30)), blank=0)
    found = recogniser(open_built(small))
    sounds = [np.random.default_rng(seed).normal(0, 10.0**-seed, RATE // 2).astype(np.float32) for seed in range(3)]
    scorer = Hotwords([Phrase((3, 4, 5))], found.vocabulary.size)
    beam = Settings(method="beam", beam=2, blank_penalty=50)

    def hear(samples: np.ndarray) -> list[Event]:
        return list(Stream(found, letters, settings=beam, scorers=[scorer]).events(cut(samples, [2000])))

    alone = [hear(samples) for samples in sounds]
    assert len({event.words for events in alone for event in events}) > 6
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet wherever they can
    try:
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(hear, sounds)) == alone
    finally:
        sys.setswitchinterval(usual)


def test_scorers_have_a_say_in_the_words(model: Model, said: Path) -> None:
    samples = load_audio(said / "talks/one.wav")
    none = 3 * [0.0]

    class Never:
        """No second label is "a"."""

        def start(self) -> int:
            return 0

        def advance(self, labels: Sequence[int], states: Sequence[int]) -> list[int]:
            return [state + 1 for state in states]

        def scores(self, states: Sequence[int]) -> np.ndarray:
            return np.array([none if state == 0 else [0, 0, -100.0] for state in states])

        def ends(self, states: Sequence[int]) -> np.ndarray:
            return np.zeros(len(states))

    beam = Settings(method="beam", beam=4)
    events = list(model.stream(settings=beam, scorers=[Never()]).events([samples]))
    assert max(event.text.count("a") for event in events if event.kind == "final") <= 1 < SAID.count("a")


def test_a_build_that_has_no_words_is_refused(said: Path) -> None:
    with pytest.raises(BuildError, match="is untrained"):
        mctc.open(said / "untrained").stream()
    with pytest.raises(BuildError, match="has no tokens"):
        mctc.open(said / "nameless").stream()
