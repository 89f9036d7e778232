"""Magnitudes of inputs: what is counted, and the scale that 8 bits hold them best with."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.compress.errors import CompressError
from mctc.compress.magnitudes import BINS, best_scale, counted, divided, edges, largest


def test_each_number_is_counted_in_the_bin_that_holds_it() -> None:
    rows = np.array([[0.0, 1e-30], [1.0, -1.24], [-3.1, 1e9], [np.ldexp(1, -20), 0.26]], np.float32)
    bounds, counts = edges(), counted(rows)
    assert counts.shape == (2, BINS)
    assert counts.sum() == rows.size
    for at, column in enumerate(np.abs(rows).T):
        bins = np.clip(np.searchsorted(bounds, column, side="right") - 1, 0, BINS - 1)
        assert counts[at].tolist() == np.bincount(bins, minlength=BINS).tolist()
    assert largest(counts).tolist() == [3.5, float(bounds[-1])]


def test_counts_of_divided_inputs_are_those_of_the_quotients() -> None:
    rows = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    factors = np.array([4.0, 1.0, 0.125], np.float32)
    assert np.array_equal(divided(counted(rows), factors), counted(rows / factors))


@pytest.mark.parametrize("heavy", [0.0, 0.002])
def test_the_scale_is_about_as_good_as_the_best_one_by_the_numbers_themselves(heavy: float) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=20_000)
    x[rng.random(x.size) < heavy] *= 40
    x = x.astype(np.float32)

    def error(scale: float) -> float:
        return float(((x - np.clip(np.rint(x / scale), -128, 127) * scale) ** 2).mean())

    found = best_scale(counted(x[:, None])[0])
    least = min(error(scale) for scale in np.abs(x).max() / 127 * np.geomspace(0.02, 1, 300))
    assert error(found.scale) <= 1.1 * least
    assert found.scale == np.float16(found.scale)
    assert found.decibels == pytest.approx(10 * np.log10((x**2).mean() / error(found.scale)), abs=0.5)


def test_a_scale_clips_rare_large_numbers() -> None:
    x = np.concatenate([np.random.default_rng(5).normal(size=400_000), [30.0]]).astype(np.float32)
    assert best_scale(counted(x[:, None])[0]).scale < 15 / 127


def test_inputs_that_were_always_zero_have_no_scale() -> None:
    with pytest.raises(CompressError, match="zeros whenever"):
        best_scale(counted(np.zeros((4, 1), np.float32))[0])
