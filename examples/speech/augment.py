"""What happens to speech on its way to a microphone, for a batch at once on any device.

All random numbers come from torch's default generator, which the caller seeds for each micro-batch.
Each function takes and gives samples (B, L) in [-1, 1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .config import Augment

REVERBERATION_S = 0.5  # length of an impulse response
TELEPHONE_HZ = (300.0, 3400.0)


def at_speed(samples: Tensor, lengths: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Samples played `factor` times as fast, pitch and all: cubic interpolation (Lagrange, four points)."""
    if factor == 1.0:
        return samples, lengths
    place = torch.arange(int(samples.shape[1] / factor), device=samples.device) * factor
    whole = place.floor()
    after = (place - whole).to(samples.dtype)
    padded = torch.nn.functional.pad(samples, (1, 3))
    at = whole.long()
    result = samples.new_zeros(len(samples), len(at))
    for offset in (-1, 0, 1, 2):
        others = [each for each in (-1, 0, 1, 2) if each != offset]
        weight = math.prod(1.0 / (offset - each) for each in others) * torch.stack(
            [after - each for each in others]
        ).prod(0)
        result += weight * padded[:, at + offset + 1]
    return result, (lengths / factor).long()


def augmented(samples: Tensor, lengths: Tensor, rate: int, config: Augment) -> Tensor:
    """Babble, a room, noise, a channel and a level, each with its probability; zeros behind the lengths."""
    valid = torch.arange(samples.shape[1], device=samples.device) < lengths[:, None]
    heard = _babble(samples, lengths, config)
    heard = _through(heard, lengths, rate, config)
    return _levelled(heard * valid, config)


def _chosen(count: int, probability: float, device: torch.device) -> Tensor:
    """(B, 1): which utterances something happens to."""
    return torch.rand(count, 1, device=device) < probability


def _between(bounds: tuple[float, float], count: int, device: torch.device) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, 1, device=device)


def _ratio(decibels: Tensor) -> Tensor:
    return torch.pow(10.0, decibels / 20.0)


def _babble(samples: Tensor, lengths: Tensor, config: Augment) -> Tensor:
    """Other utterances of the batch behind each one."""
    count, device = len(samples), samples.device
    if not config.babble or count < 4:
        return samples
    others = sum((samples.roll(1 + at, 0) for at in range(3)), torch.zeros_like(samples))
    power = samples.square().sum(1, keepdim=True) / lengths[:, None].clamp(min=1)
    loudness = (power / others.square().mean(1, keepdim=True).clamp(min=1e-12)).sqrt()
    scale = loudness / _ratio(_between(config.snr, count, device).clamp(min=6.0))
    return samples + others * scale * _chosen(count, config.babble, device)


def _through(samples: Tensor, lengths: Tensor, rate: int, config: Augment) -> Tensor:
    """A room, noise in it and the channel behind, all as products of spectra."""
    count, device = len(samples), samples.device
    size = _fft_size(samples.shape[1] + int(REVERBERATION_S * rate))
    spectrum = torch.fft.rfft(samples, size)
    hertz = torch.linspace(0.0, rate / 2, size // 2 + 1, device=device).clamp(min=rate / size)
    if config.reverberation:
        room = torch.fft.rfft(_room(count, rate, device), size)
        spectrum = torch.where(_chosen(count, config.reverberation, device), spectrum * room, spectrum)
    if config.noise:
        spectrum = spectrum + _noise(spectrum, lengths, hertz, config)
    if config.tilt:
        octaves = (hertz / 1000.0).log2().clamp(-3.0, 3.0)
        slope = _between((-6.0, 6.0), count, device) * _chosen(count, config.tilt, device)
        spectrum = spectrum * _ratio(slope * octaves)
    if config.telephone:
        low, high = TELEPHONE_HZ
        soft = (1.0 + (low / hertz) ** 8).rsqrt() * (1.0 + (hertz / high) ** 16).rsqrt()
        hard = ((hertz >= low) & (hertz <= high)).to(soft)
        band = torch.where(_chosen(count, 0.5, device), soft, hard)
        spectrum = torch.where(_chosen(count, config.telephone, device), spectrum * band, spectrum)
    heard: Tensor = torch.fft.irfft(spectrum, size)
    return heard[:, : samples.shape[1]]


def _room(count: int, rate: int, device: torch.device) -> Tensor:
    """Impulse responses (B, N): the sound itself, then noise that dies away within 0.1 to 0.6 s, 0 to 15 dB below."""
    time = torch.arange(int(REVERBERATION_S * rate), device=device) / rate
    tail = torch.randn(count, len(time), device=device) * torch.exp(-6.9 * time / _between((0.1, 0.6), count, device))
    tail = tail * (time > _between((0.001, 0.02), count, device))
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() / _ratio(_between((0.0, 15.0), count, device))
    tail[:, 0] = 1.0
    return tail


def _noise(spectrum: Tensor, lengths: Tensor, hertz: Tensor, config: Augment) -> Tensor:
    """The spectrum of noise whose power falls with frequency to the power 0 (white) to 2 (brown)."""
    count, device, size = len(spectrum), spectrum.device, 2 * (spectrum.shape[1] - 1)
    shape = torch.pow(hertz, -_between((0.0, 1.0), count, device))
    noise = torch.view_as_complex(torch.randn(*spectrum.shape, 2, device=device)) * shape
    # Powers by Parseval: the speech lasts for its length, the noise for the whole transform.
    speech = torch.view_as_real(spectrum).square().sum((1, 2)) / lengths.clamp(min=1)
    loudness = (speech / (torch.view_as_real(noise).square().sum((1, 2)) / size)).sqrt()[:, None]
    scale = loudness / _ratio(_between(config.snr, count, device))
    return noise * scale * _chosen(count, config.noise, device)


def _levelled(samples: Tensor, config: Augment) -> Tensor:
    """Peaks at a random level, and 16 bits."""
    count, device = len(samples), samples.device
    peak = samples.abs().amax(1, keepdim=True).clamp(min=1e-4)
    wanted = _ratio(_between(config.level, count, device)) / peak
    gain = torch.where(_chosen(count, config.gain, device), wanted, (1.0 / peak).clamp(max=1.0))
    return (samples * gain * 32768.0).round().clamp(-32768.0, 32767.0) / 32768.0


def _fft_size(least: int) -> int:
    """2^k or 3 * 2^k: few sizes, so that few plans of transforms are made."""
    power = 1 << (least - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= least else power
