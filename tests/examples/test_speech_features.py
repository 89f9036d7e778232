"""examples/speech: features on the device are those of mctc.audio; what is done to sound keeps what it must."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mctc.audio import MelConfig, log_mel
from speech.augment import at_speed, augmented
from speech.config import Augment
from speech.features import LogMel, spec_augment

LENGTHS = torch.tensor([16_000, 12_345, 161, 8_000])


def speech() -> torch.Tensor:
    """Noise with a line spectrum on top, zeros behind the lengths."""
    random = torch.Generator().manual_seed(3)
    time = torch.arange(16_000) / 16_000
    samples = 0.3 * torch.sin(2 * torch.pi * 440 * time) + 0.1 * torch.randn(4, 16_000, generator=random)
    return samples * (torch.arange(16_000) < LENGTHS[:, None])


def test_features_are_those_of_the_runtime() -> None:
    samples = speech()
    features, frames = LogMel(MelConfig(), warp=0.1).eval()(samples, LENGTHS)
    for row, length, count, whole in zip(features, LENGTHS, frames, samples):
        expected = log_mel(whole[:length].numpy())
        assert len(expected) == count
        assert np.abs(row[:count].numpy() - expected).max() < 1e-4


def test_stretched_frequencies_move_a_tone() -> None:
    time = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * torch.pi * 1_000 * time).expand(64, -1)
    torch.manual_seed(0)
    features, _ = LogMel(MelConfig(), warp=0.1).train()(tone, torch.full((64,), 16_000))
    peaks = features[:, 50].argmax(1)
    assert len(peaks.unique()) > 3


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_speed_moves_a_tone_and_the_length(factor: float) -> None:
    time = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * torch.pi * 400 * time)[None]
    fast, lengths = at_speed(tone, torch.tensor([16_000]), factor)
    assert int(lengths) == int(16_000 / factor)
    expected = torch.sin(2 * torch.pi * 400 * factor * torch.arange(len(fast[0])) / 16_000)
    assert (fast[0, 10:-10] - expected[10:-10]).abs().max() < 2e-3


def test_augmentation_depends_on_the_seed_alone_and_leaves_the_padding_silent() -> None:
    config = Augment(reverberation=1.0, noise=1.0, babble=1.0, tilt=1.0, telephone=0.5, gain=1.0)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augmented(speech(), LENGTHS, 16_000, config))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    behind = torch.arange(16_000) >= LENGTHS[:, None]
    assert results[0].isfinite().all()
    assert not results[0][behind].any()
    peaks = 20 * results[0].abs().amax(1).log10()
    assert ((peaks > -41) & (peaks <= 0)).all()


def test_noise_is_as_loud_as_asked() -> None:
    off = Augment(reverberation=0.0, babble=0.0, tilt=0.0, telephone=0.0, gain=0.0, noise=0.0)
    on = Augment(reverberation=0.0, babble=0.0, tilt=0.0, telephone=0.0, gain=0.0, noise=1.0, snr=(10.0, 10.0))
    samples, lengths = 0.1 * torch.randn(8, 32_000), torch.full((8,), 32_000)
    noise = augmented(samples, lengths, 16_000, on) - augmented(samples, lengths, 16_000, off)
    ratio = 10 * (samples.square().mean(1) / noise.square().mean(1)).log10()
    assert (ratio.mean() - 10).abs() < 1


def test_nothing_asked_changes_nothing() -> None:
    off = Augment(reverberation=0.0, noise=0.0, babble=0.0, tilt=0.0, telephone=0.0, gain=0.0)
    samples = (speech() * 0.5).clamp(-1, 1)
    assert (augmented(samples, LENGTHS, 16_000, off) - samples).abs().max() < 1e-4


def test_masks_hide_stripes_within_the_utterance() -> None:
    torch.manual_seed(0)
    features, lengths = torch.randn(4, 100, 80) + 5, torch.tensor([100, 60, 20, 1])
    masked = spec_augment(features, lengths, Augment(frequency_masks=1, time_masks=2, time_share=0.2))
    changed = masked != features
    assert changed[0].any()
    assert not changed[0].all()
    whole_frames = changed.all(2)
    for row, length in zip(whole_frames, lengths):
        assert not row[length:].any()
