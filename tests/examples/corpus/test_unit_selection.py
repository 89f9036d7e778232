"""Texts in the voice of recordings that never say them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest

from corpus.phones import Phone, aligned, frames
from corpus.sound import RATE, Said, Samples
from corpus.unit_selection import FADE, SEARCH, UnitSelection, faded
from corpus.voice import Manner

PHONE_S = 0.12
TONES = {"a": 300.0, "b": 700.0, "c": 1500.0, "d": 3000.0}


def spoken(text: str, stretch: Sequence[float] = ()) -> Samples:
    """A tone for each letter, louder and softer as it lasts."""
    lengths = [round(PHONE_S * each * RATE) for each in stretch or [1.0] * len(text)]
    return np.concatenate(
        [
            (0.5 * np.hanning(n + 2)[1:-1] + 0.2) * np.sin(2 * np.pi * TONES[x] / RATE * np.arange(n))
            for x, n in zip(text, lengths, strict=True)
        ]
    ).astype(np.float32)


class Letters:
    """A front end whose phones are letters, as long as one another; words are parted by blanks."""

    def of(self, text: str) -> tuple[list[Phone], Samples]:
        said = text.rstrip(".").split()
        letters = [(letter, number) for number, word in enumerate(said) for letter in word]
        return [Phone(x, (at + 1) * PHONE_S, n) for at, (x, n) in enumerate(letters)], spoken("".join(said))


def recording(text: str) -> tuple[str, Said]:
    ends = np.cumsum([len(word) for word in text.split()]) * PHONE_S
    return text, Said(spoken(text.replace(" ", "")), RATE, tuple(ends.tolist()))


def heard(samples: Samples) -> str:
    """The letters in a sound, by their tones, each once where it lasts."""
    found = ""
    for at in range(0, samples.size - 512, 256):
        spectrum = np.abs(np.fft.rfft(samples[at : at + 512] * np.hanning(512)))
        hertz = float(spectrum.argmax()) * RATE / 512
        letter = min(TONES, key=lambda name: abs(TONES[name] - hertz))
        found += letter * (not found.endswith(letter))
    return found


def said(voice: UnitSelection, text: str, pitch: float = 1.0) -> Said | None:
    return next(voice.speak([(text, Manner("allison", pitch=pitch))]))


def test_a_text_is_made_of_parts_of_recordings() -> None:
    voice = UnitSelection(Letters(), [recording("ab cd"), recording("bda"), recording("cb")])
    for text in ("abd", "cbda cd", "dacb"):
        result = said(voice, text + ".")
        assert result is not None
        assert heard(result.samples) == text.replace(" ", "")


def test_what_was_recorded_is_said_as_it_was() -> None:
    """The text of a recording is one piece of it."""
    text, whole = recording("abcd")
    result = said(UnitSelection(Letters(), [(text, whole), recording("dcba")]), text)
    assert result is not None
    scaled = whole.samples / np.sqrt(np.mean(whole.samples**2))
    assert np.abs(result.samples[FADE // 2 :][: scaled.size] - scaled).max() < 1e-5


def test_a_phone_that_was_never_said_can_not_be() -> None:
    assert said(UnitSelection(Letters(), [recording("ab")]), "abc") is None


def test_a_text_sounds_the_same_in_one_manner_alone() -> None:
    voice = UnitSelection(Letters(), [recording(text) for text in ("abab", "baba", "abba", "baab") * 3])
    first, again, other = (said(voice, "ab ba ab", pitch) for pitch in (1.0, 1.0, 1.1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert np.array_equal(first.samples, again.samples)
    assert first.samples.size != other.samples.size or not np.array_equal(first.samples, other.samples)


class Stretched(NamedTuple):
    samples: Samples
    ends: list[float]


@pytest.fixture
def stretched() -> Stretched:
    factors = (1.5, 0.7, 0.8, 1.4)
    return Stretched(spoken("abcd", factors), np.cumsum(np.array(factors) * PHONE_S).tolist())


def test_phones_are_found_where_a_recording_is_faster_or_slower(stretched: Stretched) -> None:
    phones, other = Letters().of("abcd")
    found = aligned(stretched.samples, stretched.ends[-1:], phones, other)
    assert [phone.name for phone in found] == list("abcd")
    assert [phone.end for phone in found] == pytest.approx(stretched.ends, abs=0.02)


def test_a_pause_before_a_word_is_none_of_its_phones() -> None:
    phones, other = Letters().of("ab cd")
    samples = np.concatenate([spoken("ab"), np.zeros(RATE // 2, np.float32), spoken("cd")])
    found = aligned(samples, [2 * PHONE_S, 4 * PHONE_S + 0.5], phones, other)
    assert [phone.name for phone in found] == ["a", "b", "pau", "c", "d"]
    assert found[2].end == pytest.approx(2 * PHONE_S + 0.5, abs=0.05)


def test_other_words_than_the_recordings_align_nothing() -> None:
    phones, other = Letters().of("ab cd")
    assert aligned(spoken("abcd"), [4 * PHONE_S], phones, other) == []


def test_a_joint_meets_where_the_waves_are_alike() -> None:
    wave = np.sin(2 * np.pi * 200 / RATE * np.arange(RATE // 4)).astype(np.float32)
    late = wave[37:]
    whole = faded(wave[: RATE // 8], late)
    assert np.abs(np.diff(whole)).max() <= np.abs(np.diff(wave)).max() * 1.1
    assert wave.size - 37 - 2 * SEARCH - FADE <= whole.size - RATE // 8 <= late.size


def test_frames_are_of_every_five_milliseconds() -> None:
    for count in (1, 79, 80, 81, 1600):
        assert len(frames(np.zeros(count, np.float32))) == -(-count // 80)


def test_ends_of_halves_follow_one_another() -> None:
    voice = UnitSelection(Letters(), [recording("abcd")])
    halves = sorted((unit for units in voice.units.values() for unit in units), key=lambda unit: unit.begin)
    assert len(halves) == 8
    assert all(first.goes_on(second) for first, second in pairwise(halves))
