"""Log-mel frames from samples, for a whole recording and for a stream, equal bit for bit.

Framing is causal. With the default 16 kHz, window 400 and hop 160, frame t covers the samples
[t * hop - (window - hop), (t + 1) * hop): it ends with the hop that completes it, and silence precedes the first
sample. So T frames need exactly T * hop samples and no look-ahead. Each frame is weighed with a periodic Hann window,
padded with zeros to the FFT length, and its power spectrum is summed by mel filters over the bin frequencies
k * sample_rate / fft.

Normalisation is (log10(max(x, floor)) + 4) / 4.

Two options are for whole recordings alone, because they need what comes later; with an fft of 400 and 8 decades they
are Whisper's features (Radford et al., 2022, section 2.2, and the code published with it). `centred`: the middle of
frame t is sample t * hop, the sound mirrored at both ends. `decades`: nothing is lower than so many powers of ten below
the loudest bin of the recording.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from mctc.audio.filterbank import BandedFilters, MelScale, mel_filters

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# Frames analysed at once: bounds the memory of a long recording at a few megabytes.
_BLOCK_FRAMES = 512


@dataclass(frozen=True)
class MelConfig:
    """How samples become frames; lengths in samples, frequencies in Hz. `ValueError` names the field that can't be."""

    sample_rate: int = 16_000
    window: int = 400
    hop: int = 160
    fft: int = 512
    bins: int = 80
    f_min: float = 0.0
    f_max: float = 8_000.0
    scale: MelScale = "slaney"
    floor: float = 1e-10
    centred: bool = False
    decades: float | None = None

    def __post_init__(self) -> None:
        checks = (
            (self.sample_rate > 0, "sample_rate must be positive"),
            (0 < self.hop <= self.window, f"hop must be between 1 and the window of {self.window}"),
            (self.window <= self.fft, f"window must not be longer than the fft of {self.fft}"),
            (self.bins > 0, "bins must be positive"),
            (
                0.0 <= self.f_min < self.f_max <= self.sample_rate / 2,
                f"f_min and f_max must satisfy 0 <= f_min < f_max <= {self.sample_rate / 2:g} (half the sample rate)",
            ),
            (self.scale in ("slaney", "htk"), "scale must be 'slaney' or 'htk'"),
            (0.0 < self.floor < math.inf, "floor must be positive"),
            (not self.centred or self.window == self.fft, "centred frames need an fft as long as the window"),
            (self.decades is None or self.decades > 0, "decades must be positive"),
        )
        for holds, rule in checks:
            if not holds:
                raise ValueError(f"MelConfig: {rule}")

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def streams(self) -> bool:
        """Whether a frame is known as soon as its sound is."""
        return not self.centred and self.decades is None

    @property
    def silence(self) -> float:
        """The value of every bin of a silent frame, which is also the least value of any bin."""
        return float(np.float32((math.log10(self.floor) + 4.0) / 4.0))


class StreamingMel:
    """Log-mel frames of sound that arrives in pieces of any length."""

    def __init__(self, config: MelConfig | None = None) -> None:
        """Raises `ValueError` for a configuration that needs the whole recording."""
        self.config = config or MelConfig()
        if not self.config.streams:
            raise ValueError("MelConfig: centred frames and decades need the whole recording")
        self._pending: Float64
        self.reset()

    def reset(self) -> None:
        """Forget everything heard: the next sample is again the first."""
        self._pending = np.zeros(self.config.window - self.config.hop)

    def push(self, samples: ArrayLike) -> Float32:
        """The frames [frames, bins] that `samples` (floats in [-1, 1], one axis) complete; possibly none.

        Raises `ValueError` for more than one axis, for integers and for samples that are not finite.
        """
        heard = np.concatenate([self._pending, _checked(samples)])
        config = self.config
        count = (heard.size - (config.window - config.hop)) // config.hop
        self._pending = heard[count * config.hop :].copy()
        result = np.empty((count, config.bins), np.float32)
        if count:
            views = sliding_window_view(heard, config.window)[:: config.hop]
            for start in range(0, count, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, count)
                result[start:stop] = _normalised(_log_energy(views[start:stop], config))
        return result

    def flush(self, multiple: int = 1) -> Float32:
        """The frames [frames, bins] left at the end of the sound, its last hop filled up with silence; then reset.

        With `multiple`, silence is added until the number of these frames is a multiple of it.
        """
        if multiple < 1:
            raise ValueError(f"flush: multiple must be at least 1, not {multiple}")
        config = self.config
        left = self._pending.size - (config.window - config.hop)
        frames = math.ceil(math.ceil(left / config.hop) / multiple) * multiple
        result = self.push(np.zeros(frames * config.hop - left))
        self.reset()
        return result


def log_mel(samples: ArrayLike, config: MelConfig | None = None) -> Float32:
    """Normalised log-mel frames [ceil(samples / hop), bins] of a whole recording, as the module's text defines them.

    `samples` is one axis of floats in [-1, 1] at `config.sample_rate`. The last hop, where incomplete, is filled up
    with silence. Raises `ValueError` for more than one axis, for integers and for samples that are not finite.
    """
    config = config or MelConfig()
    if not config.streams:
        return _of_all(_checked(samples), config)
    stream = StreamingMel(config)
    return np.concatenate([stream.push(samples), stream.flush()])


def _of_all(samples: Float64, config: MelConfig) -> Float32:
    """The same with the options that need all of the recording."""
    frames = math.ceil(samples.size / config.hop)
    if not frames:
        return np.zeros((0, config.bins), np.float32)
    samples = np.pad(samples, (0, frames * config.hop - samples.size))
    if config.centred:
        padded = np.pad(samples, config.window // 2, mode="reflect")
    else:
        padded = np.pad(samples, (config.window - config.hop, 0))
    views = sliding_window_view(padded, config.window)[:: config.hop][:frames]
    blocks = (views[start : start + _BLOCK_FRAMES] for start in range(0, frames, _BLOCK_FRAMES))
    energy = np.concatenate([_log_energy(block, config) for block in blocks])
    if config.decades is not None:
        energy = np.maximum(energy, energy.max() - config.decades)
    return _normalised(energy).astype(np.float32)


def _log_energy(frames: Float64, config: MelConfig) -> Float64:
    """log10 of what the mel filters let through [frames, bins], of windows of sound [frames, window]."""
    window, filters = _analysis(config)
    spectrum = np.fft.rfft(frames * window, config.fft, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(np.log10(np.maximum(filters.apply(power), config.floor)))


def _normalised(energy: Float64) -> Float64:
    return np.asarray((energy + 4.0) / 4.0)


def _checked(samples: ArrayLike) -> Float64:
    array = np.asarray(samples)
    if array.ndim != 1:
        raise ValueError(f"samples must have one axis, not shape {array.shape}: mix the channels first")
    if array.dtype.kind != "f" and array.size:
        raise ValueError(f"samples must be floats in [-1, 1], not {array.dtype}: divide integers by their full scale")
    result = array.astype(np.float64)
    if not np.isfinite(result).all():
        raise ValueError(f"sample {int(np.flatnonzero(~np.isfinite(result))[0])} is not a finite number")
    return result


@lru_cache(maxsize=8)
def _analysis(config: MelConfig) -> tuple[Float64, BandedFilters]:
    """The periodic Hann window [window] and the mel filters of a configuration."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(config.window) / config.window)
    dense = mel_filters(config.sample_rate, config.fft, config.bins, config.f_min, config.f_max, config.scale)
    return window, BandedFilters.of(dense)
