"""Log-mel features of a batch on any device: those of mctc.audio.log_mel, and SpecAugment.

Source of the masks: Park et al. 2019, "SpecAugment".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mctc.audio import MelConfig
from mctc.audio.filterbank import mel_filters

from .config import Augment

WARPS = 8  # to either side
ALIGNED = 32  # frames: 8 behind a subsampling by 4


class LogMel(nn.Module):
    """Samples (B, L) and their lengths (B,) to features (B, T, bins) and theirs, ceil(length / hop).

    With `warp` and in training each utterance is heard through one of 17 filter banks for frequencies that are
    stretched by up to that share, as by a longer or shorter vocal tract (Jaitly and Hinton 2013).
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig, warp: float = 0.0) -> None:
        super().__init__()
        self.config = config
        window = torch.hann_window(config.window, periodic=True, dtype=torch.float64)
        factors = [1.0 + warp * (at / WARPS) for at in range(-WARPS, WARPS + 1)] if warp else [1.0]
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", torch.stack([self._bank(each) for each in factors]), persistent=False)

    def _bank(self, factor: float) -> Tensor:
        """Filters (frequencies, bins) for a spectrum stretched by a factor."""
        config, highest = self.config, min(1.0, factor) * self.config.f_max
        bank = mel_filters(
            round(config.sample_rate * factor), config.fft, config.bins, config.f_min, highest, config.scale
        )
        return torch.from_numpy(bank).float().T

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        frames = -(-samples.shape[1] // config.hop)
        # stft puts the window into the middle of its frame; the power spectrum doesn't feel the shift.
        margin = (config.fft - config.window) // 2
        left = config.window - config.hop + margin
        right = max(0, (frames - 1) * config.hop + config.fft - left - samples.shape[1])
        padded = nn.functional.pad(samples, (left, right))
        spectrum = torch.stft(
            padded, config.fft, config.hop, config.window, self.window, center=False, return_complex=True
        )[:, :, :frames]
        power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)
        banks = len(self.filters)
        if banks > 1 and self.training:
            energy = power @ self.filters[torch.randint(banks, (len(samples),), device=samples.device)]
        else:
            energy = power @ self.filters[banks // 2]
        return (energy.clamp(min=config.floor).log10() + 4.0) / 4.0, -(-lengths // config.hop)


def aligned(features: Tensor) -> Tensor:
    """Features (B, T, bins) with zeros behind them up to whole multiples of 32 frames: a GPU's fast matrix products in
    16 bits want lengths that 8 divides."""
    return nn.functional.pad(features, (0, 0, 0, -features.shape[1] % ALIGNED))


def spec_augment(features: Tensor, lengths: Tensor, config: Augment) -> Tensor:
    """Features (B, T, bins) with stripes of each utterance put to its mean."""
    frames, bins = features.shape[1:]
    valid = torch.arange(frames, device=features.device) < lengths[:, None]
    total = (features * valid[..., None]).sum((1, 2))
    mean = total / (lengths.clamp(min=1) * bins)
    widest = torch.full_like(lengths, config.frequency_width)
    over_bins = _stripes(torch.full_like(lengths, bins), widest, config.frequency_masks, bins)
    over_time = _stripes(lengths, (lengths * config.time_share).long(), config.time_masks, frames)
    return torch.where(over_time[:, :, None] | over_bins[:, None, :], mean[:, None, None], features)


def _stripes(lengths: Tensor, widest: Tensor, count: int, size: int) -> Tensor:
    """(B, size): whether a place lies in one of `count` stripes of up to `widest` places below `lengths`."""
    draw = torch.rand(2, len(lengths), count, 1, device=lengths.device)
    width = draw[0] * widest[:, None, None]
    begin = draw[1] * (lengths[:, None, None] - width).clamp(min=0)
    place = torch.arange(size, device=lengths.device)
    return ((place >= begin) & (place < begin + width)).any(1)
