"""Frames of samples as they are, and either front end behind one name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mctc.audio import MelConfig, SampleConfig, StreamingSamples, existing_frames, frames_of, log_mel, streaming

SOUND = np.random.default_rng(0).normal(scale=0.1, size=1_003).astype(np.float32)


@pytest.mark.parametrize("pieces", [[], [64], [1, 62, 1, 0, 900], [1_000]])
def test_a_frame_is_the_samples_that_follow_one_another(pieces: list[int]) -> None:
    stream = StreamingSamples(SampleConfig(bins=64))
    parts = [stream.push(part) for part in np.split(SOUND, np.cumsum(pieces))]
    found = np.concatenate([*parts, stream.flush()])
    assert found.shape == (16, 64)
    assert np.array_equal(found.ravel(), np.pad(SOUND, (0, 21)))
    assert np.array_equal(found, frames_of(SOUND, SampleConfig(bins=64)))


def test_flush_fills_up_with_silence_to_a_multiple_of_frames_and_starts_anew() -> None:
    stream = StreamingSamples(SampleConfig(bins=10))
    assert len(stream.push(SOUND[:25])) == 2
    left = stream.flush(multiple=4)
    assert left.shape == (4, 10)
    assert np.array_equal(left.ravel(), np.pad(SOUND[20:25], (0, 35)))
    assert stream.flush(multiple=4).shape == (0, 10)


def test_a_recording_has_whole_frames_of_a_spectrum_and_parts_of_frames_of_samples() -> None:
    assert existing_frames(161, MelConfig()) == 2
    assert existing_frames(161, MelConfig(partial=False)) == 1
    assert existing_frames(161, SampleConfig(bins=64)) == Fraction(161, 64)


def test_either_front_end_streams() -> None:
    assert np.array_equal(frames_of(SOUND, MelConfig()), log_mel(SOUND))
    assert streaming(MelConfig()).config == MelConfig()
    assert streaming(SampleConfig(bins=8)).config == SampleConfig(bins=8)


@pytest.mark.parametrize("fields", [{"sample_rate": 0}, {"bins": 0}])
def test_a_setting_that_can_not_be_is_named(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        SampleConfig(**fields)
    with pytest.raises(ValueError, match="int16"):
        StreamingSamples(SampleConfig()).push(np.zeros(4, np.int16))
