"""Samples between an engine and the corpus."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.sound import KEPT_S, RATE, Said, joined, recorded, resampled, spoken


def tone(hz: float, rate: int, seconds: float = 0.5) -> Said:
    return Said(np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate).astype(np.float32), rate, (seconds,))


def pitch(said: Said) -> float:
    spectrum = np.abs(np.fft.rfft(said.samples))
    return float(spectrum.argmax()) * said.rate / said.samples.size


@pytest.mark.parametrize("rate", [16000, 22050, 32000])
def test_a_tone_is_as_high_and_as_loud_at_another_rate(rate: int) -> None:
    said = tone(440, rate)
    found = Said(resampled(said.samples, rate, RATE), RATE)
    assert found.samples.size == RATE // 2
    assert pitch(found) == pytest.approx(440, abs=2)
    assert np.abs(found.samples[1000:-1000]).max() == pytest.approx(1, abs=0.01)


def test_what_is_above_half_of_the_rate_is_left_out() -> None:
    assert np.abs(resampled(tone(10_000, 32_000).samples, 32_000, RATE))[1000:-1000].max() < 0.01


def test_a_warp_raises_all_frequencies_and_shortens_by_as_much() -> None:
    found = spoken(tone(440, RATE), warp=1.1)
    assert pitch(found) == pytest.approx(484, abs=3)
    assert found.samples.size / RATE == pytest.approx(0.5 / 1.1, abs=0.03)
    assert found.ends == pytest.approx((0.5 / 1.1,), abs=0.02)


def test_silence_around_speech_is_cut_and_ends_move_with_it() -> None:
    silent = np.zeros(4000, np.float32)
    found = spoken(Said(np.concatenate([silent, np.ones(1600, np.float32), silent]), RATE, (0.35, None)))
    assert found.samples.size == 1600 + 2 * round(KEPT_S * RATE)
    assert found.ends == (pytest.approx(0.1 + KEPT_S), None)


def test_an_engine_that_is_silent_is_an_error() -> None:
    with pytest.raises(ValueError, match="silent"):
        spoken(Said(np.zeros(100, np.float32), RATE))


def test_parts_are_joined_with_pauses_around_them() -> None:
    part = Said(np.ones(1600, np.float32), RATE, (0.1,))
    whole = joined([part, part], [0.2, 0.5, 0.3])
    assert whole.samples.size == round(1.2 * RATE)
    assert whole.ends == pytest.approx((0.3, 0.9))
    assert [*np.flatnonzero(np.diff(whole.samples)) + 1] == [3200, 4800, 12800, 14400]


def test_a_recording_is_never_clipped_and_never_quite_silent() -> None:
    for seed in range(20):
        samples = recorded(tone(440, RATE), np.random.default_rng(seed)).astype(int)
        assert 3000 < np.abs(samples).max() < 32767
    assert recorded(joined([tone(440, RATE)], [0.5, 0.5]), np.random.default_rng(1))[:8000].any()
