"""Mel scales and the triangular filters built on them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mctc.records import dataclass

MelScale = Literal["slaney", "htk", "kaldi"]

Float64 = NDArray[np.float64]

# Slaney, Auditory Toolbox (1998): linear below 1 kHz at 200/3 Hz a mel, above it 27 mels for each factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: Float64, scale: MelScale) -> Float64:
    """Frequencies in Hz as mels. `htk` is 2595 log10(1 + f/700) (the HTK Book, section 5.4), and so is `kaldi`."""
    if scale != "slaney":
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = _SLANEY_KNEE_MEL + np.log(np.maximum(hz, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_KNEE_HZ, hz / _SLANEY_HZ_PER_MEL, above)


def mel_to_hz(mel: Float64, scale: MelScale) -> Float64:
    """Mels as frequencies in Hz: the inverse of `hz_to_mel`."""
    if scale != "slaney":
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (np.maximum(mel, _SLANEY_KNEE_MEL) - _SLANEY_KNEE_MEL))
    return np.where(mel < _SLANEY_KNEE_MEL, mel * _SLANEY_HZ_PER_MEL, above)


def mel_filters(
    sample_rate: int, fft: int, bins: int, f_min: float, f_max: float, scale: MelScale, area: bool = True
) -> Float64:
    """Triangular filters as a matrix [bins, fft // 2 + 1], over the FFT bin frequencies k * sample_rate / fft in Hz.

    Corners are evenly spaced in mels from `f_min` to `f_max`; each triangle is divided by half its width in Hz, so
    that every filter passes the same energy of white noise (Slaney's normalisation, also Whisper's); without `area`
    its peak is 1. Those of the scale `kaldi` are triangles over mels and not over Hz, as Kaldi's are.
    Raises `ValueError` where a filter is so narrow that no FFT bin falls into it.
    """
    ends = hz_to_mel(np.array([f_min, f_max]), scale)
    corners: Float64 = np.asarray(np.linspace(ends[0], ends[1], bins + 2), np.float64)
    hz: Float64 = np.arange(fft // 2 + 1, dtype=np.float64) * (sample_rate / fft)
    if scale == "kaldi":
        hz = hz_to_mel(hz, scale)
    else:
        corners = mel_to_hz(corners, scale)
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (hz - low) / (centre - low)
    falling = (high - hz) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low) if area else 1.0)
    empty = np.flatnonzero(weights.sum(axis=1) == 0.0)
    if empty.size:
        raise ValueError(
            f"mel filter {empty[0]} of {bins} lies between two FFT bins and would always be silent: "
            f"use fewer bins, a longer fft than {fft}, or another mel scale than {scale}"
        )
    return np.asarray(weights)


@dataclass(frozen=True)
class BandedFilters:
    """The same filters with only their non-zero band: filter b weighs FFT bins first[b] ... first[b] + width - 1.

    Applied with element-wise arithmetic in a fixed order. A matrix product would let BLAS choose another order of
    summation for another number of frames, and a streamed frame would then differ in its last bits from a whole one.
    """

    columns: NDArray[np.intp]  # [width, bins]
    weights: Float64  # [width, bins]

    @classmethod
    def of(cls, filters: Float64) -> BandedFilters:
        """From a dense matrix [bins, fft bins]."""
        inside = filters > 0.0
        first = inside.argmax(axis=1)
        width = int(np.max(np.count_nonzero(inside, axis=1)))
        columns = first[None, :] + np.arange(width)[:, None]
        in_range = columns < filters.shape[1]
        columns = np.where(in_range, columns, filters.shape[1] - 1)
        weights = np.where(in_range, np.take_along_axis(filters.T, columns, axis=0), 0.0)
        return cls(columns, weights)

    def apply(self, power: Float64) -> Float64:
        """Power spectra [frames, fft bins] as mel energies [frames, bins]; a frame's result depends on it alone."""
        energy = np.zeros((power.shape[0], self.weights.shape[1]))
        for columns, weights in zip(self.columns, self.weights, strict=True):
            energy += power[:, columns] * weights
        return energy
