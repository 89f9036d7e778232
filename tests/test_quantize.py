"""Quantisers: what is stored stands for something near the weights, and is the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.ir.program import Quantization
from mctc.quantize import Palette, QuantizeError, Scaled, quantize

WEIGHT = np.random.default_rng(0).normal(0, 0.05, (24, 10, 1, 3)).astype(np.float32)


@pytest.mark.parametrize(("scheme", "bits", "levels"), [("int8", 8, 127), ("int4", 4, 7)])
def test_a_scale_per_output_channel_holds_every_weight_within_half_a_step(scheme: str, bits: int, levels: int) -> None:
    stored = quantize(WEIGHT, Quantization(scheme, bits))
    assert isinstance(stored, Scaled)
    assert stored.bits == bits
    assert stored.scale.shape == (24, 1, 1, 1)
    assert stored.scale.dtype == np.float16
    assert int(np.abs(stored.codes).max()) == levels
    step = stored.scale.astype(np.float64)
    error = np.abs(stored.dequantize().astype(np.float64) - WEIGHT)
    # Half a step, and what fp16 takes from the scale (at the largest code) and from the product.
    assert (error <= 0.5 * step + np.abs(WEIGHT) * 2.0**-10).all()


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_codes_hold_at_least_what_fp16_holds_of_small_weights(scheme: str) -> None:
    rows = np.array([[3e-6, -1e-6], [1e-7, 6e-8], [1e-9, 0.0]])
    held = quantize(rows, Quantization(scheme, 8)).dequantize()
    levels = 127 if scheme == "int8" else 7
    np.testing.assert_allclose(held, rows.astype(np.float16), rtol=0, atol=max(2.0**-25, 3e-6 / levels / 2))
    assert held[1].tolist() == rows[1].astype(np.float16).tolist()


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = WEIGHT.copy()
    weight[3] = 0
    stored = quantize(weight, Quantization("int8", 8))
    assert isinstance(stored, Scaled)
    assert stored.scale[3] == 1
    assert not stored.dequantize()[3].any()


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("group", [None, 8])
def test_a_palette_gives_every_weight_its_nearest_entry(bits: int, group: int | None) -> None:
    stored = quantize(WEIGHT, Quantization("palette", bits, group))
    assert isinstance(stored, Palette)
    assert stored.table.shape == (1 if group is None else 3, 1 << bits)
    half = WEIGHT.astype(np.float16).astype(np.float64).reshape(stored.table.shape[0], -1)
    table = stored.table.astype(np.float64)
    nearest = np.abs(half[:, :, None] - table[:, None, :]).min(axis=2)
    taken = np.abs(stored.dequantize().astype(np.float64).reshape(half.shape) - half)
    np.testing.assert_allclose(taken, nearest, atol=1e-12)


def test_a_palette_is_better_than_equal_steps() -> None:
    heavy = (np.random.default_rng(2).standard_t(3, (32, 64)) * 0.02).astype(np.float32)
    palette = quantize(heavy, Quantization("palette", 4)).dequantize().astype(np.float64)
    even = np.linspace(heavy.min(), heavy.max(), 16)
    steps = even[np.abs(heavy[..., None] - even).argmin(-1)]
    assert np.square(palette - heavy).mean() < 0.5 * np.square(steps - heavy).mean()


def test_few_values_are_kept_exactly() -> None:
    weight = np.random.default_rng(3).choice([-1.5, 0.0, 0.25, 2.0], (16, 16)).astype(np.float32)
    for bits in (2, 4):
        stored = quantize(weight, Quantization("palette", bits))
        np.testing.assert_array_equal(stored.dequantize(), weight.astype(np.float16))


@given(st.lists(st.floats(-1e4, 1e4, width=16), min_size=1, max_size=40), st.sampled_from([1, 2, 3, 4, 6, 8]))
def test_any_palette_is_sorted_and_no_entry_lies_outside_of_the_weights(values: list[float], bits: int) -> None:
    weight = np.array(values, np.float32)
    stored = quantize(weight, Quantization("palette", bits))
    assert isinstance(stored, Palette)
    assert (np.diff(stored.table.astype(np.float64)) >= 0).all()
    assert weight.min() <= stored.dequantize().min()
    assert stored.dequantize().max() <= weight.max()


def test_it_is_the_same_every_time() -> None:
    one, two = (quantize(WEIGHT, Quantization("palette", 4, 8)) for _ in range(2))
    assert isinstance(one, Palette)
    assert isinstance(two, Palette)
    assert one.table.tobytes() == two.table.tobytes()
    assert one.codes.tobytes() == two.codes.tobytes()


@pytest.mark.parametrize(
    ("weight", "how", "match"),
    [
        (WEIGHT, Quantization("palette", 4, 7), "groups of 7 do not divide the 24 output channels"),
        (WEIGHT, Quantization("palette", 5), "1, 2, 3, 4, 6 or 8 bits, not 5"),
        (WEIGHT, Quantization("int2", 2), "there is no scheme int2"),
        (WEIGHT * 1e9, Quantization("int8", 8), "not finite in fp16"),
    ],
)
def test_what_cannot_be_quantised_is_refused(weight: np.ndarray, how: Quantization, match: str) -> None:
    with pytest.raises(QuantizeError, match=match):
        quantize(weight, how)


@pytest.mark.parametrize("scheme", ["int8", "int4"])
@pytest.mark.parametrize("shape", [(70, 30), (70, 5, 3, 2), (3, 700)])
def test_codes_are_the_same_however_many_channels_are_quantised_at_a_time(
    monkeypatch: pytest.MonkeyPatch, scheme: str, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    array[1] = 0
    how = Quantization(scheme, {"int8": 8, "int4": 4}[scheme])
    whole = quantize(array, how)
    monkeypatch.setattr("mctc.quantize.BLOCK", 250)
    parts = quantize(array, how)
    for one, other in zip(whole.parts, parts.parts, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
