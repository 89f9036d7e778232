"""Mel filters against their definition written out one weight at a time, and against points of the published scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.audio.filterbank import BandedFilters, MelScale, hz_to_mel, mel_filters, mel_to_hz


def to_mel(hz: float, scale: MelScale) -> float:
    """The same scales in other words: Fant's form with natural logarithms for HTK; Slaney's by counting its steps."""
    if scale == "htk":
        return 1127.010480 * math.log1p(hz / 700)
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000, 6.4)


def to_hz(mel: float, scale: MelScale) -> float:
    """The inverse by bisection of the forward scale."""
    low, high = 0.0, 1e5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if to_mel(middle, scale) < mel else (low, middle)
    return low


def triangle(hz: float, low: float, centre: float, high: float) -> float:
    if low < hz <= centre:
        height = (hz - low) / (centre - low)
    elif centre < hz < high:
        height = (high - hz) / (high - centre)
    else:
        height = 0.0
    return 2 * height / (high - low)


@pytest.mark.parametrize(("bins", "scale"), [(80, "slaney"), (128, "slaney"), (40, "htk")])
def test_weights_are_the_triangles_of_the_scale(bins: int, scale: MelScale) -> None:
    low, high = to_mel(20, scale), to_mel(7600, scale)
    corners = [to_hz(low + (high - low) * i / (bins + 1), scale) for i in range(bins + 2)]
    expected = [[triangle(k * 16000 / 512, *corners[b : b + 3]) for k in range(257)] for b in range(bins)]
    np.testing.assert_allclose(mel_filters(16000, 512, bins, 20, 7600, scale), expected, rtol=1e-5, atol=1e-8)


@given(st.floats(0, 20_000))
def test_scales_invert(hz: float) -> None:
    point = np.array([hz])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(point, "htk"), "htk"), point, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(point, "slaney"), "slaney"), point, rtol=1e-9, atol=1e-9)


def test_a_thousand_hertz_is_a_thousand_htk_mels_and_fifteen_of_slaneys() -> None:
    thousand = np.array([1000.0])
    np.testing.assert_allclose(hz_to_mel(thousand, "htk"), 1000, atol=0.02)
    np.testing.assert_allclose(hz_to_mel(thousand, "slaney"), 15)


def test_a_filter_between_two_fft_bins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mel filter \d+ of 128 lies between two FFT bins"):
        mel_filters(16000, 256, 128, 0, 8000, "htk")


@pytest.mark.parametrize(("bins", "low", "high"), [(80, 0, 8000), (128, 0, 8000), (3, 4000, 8000)])
def test_bands_sum_what_the_whole_matrix_sums(bins: int, low: float, high: float) -> None:
    dense = mel_filters(16000, 512, bins, low, high, "slaney")
    power = np.random.default_rng(0).exponential(size=(7, 257))
    np.testing.assert_allclose(BandedFilters.of(dense).apply(power), power @ dense.T, rtol=1e-12)
