"""Log-mel frames from samples, for a whole recording and for a stream, equal bit for bit.

Framing is causal. With the default 16 kHz, window 400 and hop 160, frame t covers the samples
[t * hop - (window - hop), (t + 1) * hop): it ends with the hop that completes it, and silence precedes the first
sample. So T frames need exactly T * hop samples and no look-ahead. Each frame is weighed with a periodic Hann window,
padded with zeros to the FFT length, and its power spectrum is summed by mel filters over the bin frequencies
k * sample_rate / fft.

Normalisation is (log10(max(x, floor)) + 4) / 4. `MelConfig` has the settings that differ from all this.

Three of them are for whole recordings alone, because they need what comes later. `centred`: the middle of frame t is
sample t * hop. `decades`: nothing is lower than so many powers of ten below the loudest bin of the recording; both with
an fft of 400 and 8 decades are Whisper's features (Radford et al., 2022, section 2.2, and the code published with it).
`normalise = "recording"`: each bin has mean 0 and deviation 1 over the frames of the recording, as NVIDIA's NeMo
toolkit makes features.

Kaldi's filter banks (Povey et al., 2011; compute-fbank-feats) are `taper = "povey"`, `by_window`, `preemphasis = 0.97`,
`scale = "kaldi"` without `area`, a natural logarithm that is not scaled, and the framing `snipped` or `middle` (what
Kaldi calls snip_edges, and its absence).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from mctc.audio.checked import checked
from mctc.audio.filterbank import BandedFilters, MelScale, mel_filters
from mctc.records import dataclass

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

Logarithm = Literal["log10", "ln"]
Taper = Literal["hann", "hamming", "povey"]
Framing = Literal["causal", "snipped", "middle"]
Normalisation = Literal["scaled", "none", "recording"]

LEAST_DEVIATION = 1e-5  # is added to the deviation of a bin over a recording, as NeMo does
# Frames analysed at once: bounds the memory of a long recording at a few megabytes.
_BLOCK_FRAMES = 512


@dataclass(frozen=True)
class MelConfig:
    """How samples become frames; lengths in samples, frequencies in Hz. `ValueError` names the field that can't be.

    periodic: the Hann window has a period of `window` samples; else it is symmetric, with one of `window` - 1.
    area: each mel filter is divided by half its width in Hz; else its peak is 1. preemphasis: sample t less so much of
    sample t - 1 is what is analysed. log, floor, added: the logarithm, of the larger of energy and floor, or of the sum
    of both. centred, mirrored: the middle of frame t is sample t * hop; the sound is mirrored at both ends, or silence
    is there. partial: a last hop that is incomplete makes a frame. normalise: (y + 4) / 4 of the logarithm y
    ("scaled"), y itself ("none"), or y less the bin's mean over its deviation, that of n - 1 degrees of freedom, over
    the recording ("recording"). shortest: a shorter recording is followed by silence. every, zeros: behind every so
    many frames stand so many of zeros.
    taper: the window: Hann's, Hamming's, or Hann's to the power of 0.85. gain: samples are multiplied by it. by_window:
    the mean of each window is taken off, and its preemphasis takes its first sample for the one before that. framing:
    frame t ends with hop t ("causal"), begins with it, as far as sound fills windows ("snipped"), or has its middle
    there, with the sound mirrored at both ends ("middle").
    """

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
    periodic: bool = True
    area: bool = True
    preemphasis: float = 0.0
    log: Logarithm = "log10"
    added: bool = False
    mirrored: bool = True
    partial: bool = True
    normalise: Normalisation = "scaled"
    shortest: int = 0
    every: int = 0
    zeros: int = 0
    taper: Taper = "hann"
    gain: float = 1.0
    by_window: bool = False
    framing: Framing = "causal"

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
            (self.scale in get_args(MelScale), "scale must be 'slaney', 'htk' or 'kaldi'"),
            (self.scale != "kaldi" or not self.area, "area goes with the scales 'slaney' and 'htk'"),
            (self.taper in get_args(Taper), "taper must be 'hann', 'hamming' or 'povey'"),
            (0.0 < self.gain < math.inf, "gain must be positive"),
            (self.framing in get_args(Framing), "framing must be 'causal', 'snipped' or 'middle'"),
            (not self.centred or self.framing == "causal", "framing and centred exclude each other"),
            (0.0 < self.floor < math.inf, "floor must be positive"),
            (self.decades is None or self.decades > 0, "decades must be positive"),
            (self.periodic or self.window > 1, "a symmetric window has more than one sample"),
            (0.0 <= self.preemphasis <= 1.0, "preemphasis must be between 0 and 1"),
            (self.log in get_args(Logarithm), "log must be 'log10' or 'ln'"),
            (self.normalise in get_args(Normalisation), "normalise must be 'scaled', 'none' or 'recording'"),
            (self.shortest >= 0, "shortest must not be negative"),
            ((self.every > 0) == (self.zeros > 0), "every must say behind how many frames the zeros stand"),
        )
        for holds, rule in checks:
            if not holds:
                raise ValueError(f"MelConfig: {rule}")

    @property
    def rate(self) -> Fraction:
        """Frames a second, those of zeros among them."""
        more = Fraction(self.every + self.zeros, self.every) if self.zeros else 1
        return Fraction(self.sample_rate, self.hop) * more

    @property
    def frame_rate(self) -> float:
        """The same as a float."""
        return float(self.rate)

    def samples(self, frames: int) -> int:
        """Of so many frames."""
        return int(frames * self.sample_rate / self.rate)

    @property
    def streams(self) -> bool:
        """Whether a frame is known as soon as its sound is."""
        whole = self.centred or self.decades is not None or self.normalise == "recording"
        return not whole and not self.shortest and not self.zeros

    @property
    def silence(self) -> float:
        """The value of every bin of a silent frame, which is also the least value of any bin; 0, the mean, where frames
        are normalised over a recording."""
        return 0.0 if self.normalise == "recording" else float(np.float32(_scaled(_log(self.floor, self), self)))


class StreamingMel:
    """Log-mel frames of sound that arrives in pieces of any length."""

    def __init__(self, config: MelConfig | None = None) -> None:
        """Raises `ValueError` for a configuration that needs the whole recording."""
        self.config = config or MelConfig()
        if not self.config.streams:
            raise ValueError("MelConfig: centred frames, decades, a normalisation, ... need the whole recording")
        self._pending: Float64
        self._last: Float64
        self.reset()

    def reset(self) -> None:
        """Forget everything heard: the next sample is again the first."""
        config = self.config
        self._pending = np.zeros(config.window - config.hop if config.framing == "causal" else 0)
        self._last = np.zeros(1)
        self._mirror = (config.window - config.hop) // 2 if config.framing == "middle" else 0  # samples still to mirror
        self._heard = 0

    def push(self, samples: ArrayLike) -> Float32:
        """The frames [frames, bins] that `samples` (floats in [-1, 1], one axis) complete; possibly none.

        Raises `ValueError` for more than one axis, for integers and for samples that are not finite.
        """
        given = checked(samples)
        emphasised = _emphasised(given, self._last, self.config)
        self._last = np.concatenate([self._last, given])[-1:]
        self._heard += given.size
        if self._mirror:
            self._pending, emphasised = np.concatenate([self._pending, emphasised]), emphasised[:0]
            if self._pending.size >= self._mirror:
                self._pending = np.concatenate([self._pending[: self._mirror][::-1], self._pending])
                self._mirror = 0
        return self._complete(emphasised)

    def _complete(self, emphasised: Float64) -> Float32:
        heard = np.concatenate([self._pending, emphasised])
        config = self.config
        count = 0 if self._mirror else max(0, (heard.size - (config.window - config.hop)) // config.hop)
        self._pending = heard[count * config.hop :].copy()
        result = np.empty((count, config.bins), np.float32)
        if count:
            views = sliding_window_view(heard, config.window)[:: config.hop]
            for start in range(0, count, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, count)
                result[start:stop] = _scaled(_log_energy(views[start:stop], config), config)
        return result

    def flush(self, multiple: int = 1) -> Float32:
        """The frames [frames, bins] left at the end of the sound, its last hop filled up with silence; then reset.

        With `multiple`, silence is added until the number of these frames is a multiple of it.
        """
        if multiple < 1:
            raise ValueError(f"flush: multiple must be at least 1, not {multiple}")
        config = self.config
        if config.framing == "causal":
            left = self._pending.size - (config.window - config.hop)
            frames = math.ceil(_analysed(left, config) / multiple) * multiple
            result = self._complete(np.zeros(max(0, frames * config.hop - left)))
        else:
            result = self._last_frames()
            silent = -len(result) % multiple
            result = np.pad(result, ((0, silent), (0, 0)), constant_values=config.silence)
        self.reset()
        return result

    def _last_frames(self) -> Float32:
        """Those whose windows reach beyond the end of the sound, which is mirrored there."""
        config = self.config
        if config.framing == "snipped" or not self._pending.size:
            return np.zeros((0, config.bins), np.float32)
        before, self._mirror = self._mirror, 0
        every = _analysed(self._heard, config)
        done = 0 if before else (self._heard - self._pending.size + (config.window - config.hop) // 2) // config.hop
        needed = (every - done) * config.hop + config.window - config.hop if every > done else 0
        behind = max(0, needed - self._pending.size - before)
        self._pending = np.pad(self._pending, (before, behind), mode="symmetric")
        return self._complete(np.zeros(0))[: every - done]


def log_mel(samples: ArrayLike, config: MelConfig | None = None) -> Float32:
    """Normalised log-mel frames [ceil(samples / hop), bins] of a whole recording, as the module's text defines them.

    `samples` is one axis of floats in [-1, 1] at `config.sample_rate`. The last hop, where incomplete, is filled up
    with silence, or makes no frame without `config.partial`. Raises `ValueError` for more than one axis, for integers
    and for samples that are not finite.
    """
    config = config or MelConfig()
    if not config.streams:
        return _of_all(checked(samples), config)
    stream = StreamingMel(config)
    return np.concatenate([stream.push(samples), stream.flush()])


def _of_all(samples: Float64, config: MelConfig) -> Float32:
    """The same with the options that need all of the recording."""
    samples = np.pad(samples, (0, max(0, config.shortest - samples.size if samples.size else 0)))
    frames = _analysed(samples.size, config)
    if not frames:
        return np.zeros((0, config.bins), np.float32)
    padded = _surrounded(_emphasised(samples, np.zeros(1), config), frames, config)
    views = sliding_window_view(padded, config.window)[:: config.hop][:frames]
    blocks = (views[start : start + _BLOCK_FRAMES] for start in range(0, frames, _BLOCK_FRAMES))
    energy = np.concatenate([_log_energy(block, config) for block in blocks])
    if config.decades is not None:
        energy = np.maximum(energy, energy.max() - config.decades * _log(10.0, config))
    return with_zeros(_scaled(energy, config).astype(np.float32), config.every, config.zeros)


def _surrounded(samples: Float64, frames: int, config: MelConfig) -> Float64:
    """A recording with what the first and the last window need around it."""
    overlap = config.window - config.hop
    if config.framing == "snipped":
        return samples
    if config.framing == "middle":
        behind = max(0, frames * config.hop + overlap - samples.size - overlap // 2)
        return np.pad(samples, (overlap // 2, behind), mode="symmetric")
    samples = np.pad(samples, (0, max(0, frames * config.hop - samples.size)))
    if config.centred:
        return np.pad(samples, config.window // 2, mode="reflect" if config.mirrored else "constant")
    return np.pad(samples, (overlap, 0))


def mel_frames(samples: int, config: MelConfig) -> int:
    """How many frames a recording of so many samples has, those of zeros among them."""
    frames = _analysed(max(samples, config.shortest if samples else 0), config)
    return frames + (frames // config.every * config.zeros if config.zeros else 0)


def _analysed(samples: int, config: MelConfig) -> int:
    """How many frames are made of so many samples."""
    if config.framing == "snipped":
        return max(0, 1 + (samples - config.window) // config.hop)
    if config.framing == "middle":
        return (samples + config.hop // 2) // config.hop
    return math.ceil(samples / config.hop) if config.partial else samples // config.hop


def _emphasised(samples: Float64, before: Float64, config: MelConfig) -> Float64:
    """Samples less a part of the one before each, where that is not for each window by itself; `before` [1] is the one
    before the first."""
    samples = config.gain * samples
    if not config.preemphasis or config.by_window:
        return samples
    before = config.gain * before
    return np.asarray(samples - config.preemphasis * np.concatenate([before, samples])[: samples.size])


def with_zeros(frames: Float32, every: int, zeros: int) -> Float32:
    """Frames [frames, bins] with `zeros` of zeros behind every `every`; what the last ones lack stays out."""
    if not zeros:
        return frames
    groups = [frames[at : at + every] for at in range(0, len(frames), every)]
    filled = [np.pad(group, ((0, zeros), (0, 0))) if len(group) == every else group for group in groups]
    return np.concatenate(filled) if filled else frames


def _log_energy(frames: Float64, config: MelConfig) -> Float64:
    """The logarithm of what the mel filters let through [frames, bins], of windows of sound [frames, window]."""
    window, filters = analysis(config)
    if config.by_window:
        frames = frames - frames.mean(axis=1, keepdims=True)
        frames = frames - config.preemphasis * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    spectrum = np.fft.rfft(frames * window, config.fft, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    energy = filters.apply(power)
    return np.asarray(_log(energy + config.floor if config.added else np.maximum(energy, config.floor), config))


def _log(numbers: Float64 | float, config: MelConfig) -> Float64:
    return np.asarray(np.log10(numbers) if config.log == "log10" else np.log(numbers))


def _scaled(energy: Float64, config: MelConfig) -> Float64:
    """Logarithms [frames, bins], normalised: of a whole recording, where that is over the recording."""
    if config.normalise == "scaled":
        return np.asarray((energy + 4.0) / 4.0)
    if config.normalise == "none":
        return energy
    apart = energy - energy.mean(axis=0)
    deviation = np.sqrt((apart**2).sum(axis=0) / max(1, len(energy) - 1))
    return np.asarray(apart / (deviation + LEAST_DEVIATION))


@lru_cache(maxsize=8)
def analysis(config: MelConfig) -> tuple[Float64, BandedFilters]:
    """The window [window] and the mel filters of a configuration."""
    period = config.window if config.periodic else config.window - 1
    turning = np.cos(2.0 * np.pi * np.arange(config.window) / period)
    window = 0.54 - 0.46 * turning if config.taper == "hamming" else 0.5 - 0.5 * turning
    if config.taper == "povey":
        window = window**0.85
    dense = mel_filters(
        config.sample_rate, config.fft, config.bins, config.f_min, config.f_max, config.scale, config.area
    )
    return window, BandedFilters.of(dense)
