"""The battery: what every runtime is fed."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.domain import Interval
from mctc.ir.op import Array
from mctc.ir.text import parse_program
from mctc.numerics.battery import BATTERY, BROKEN, CONSTANT, NOISE, SILENCE, Item, draw, noise_in_half

PROGRAM = """function @f(%x: f32[batch B, time T, channel 8], %m: f32[time T], %id: i32[batch B, label U] < 50) {
    %a = attention(%x, %x, %x, %m, heads = 2)
    return a = %a
}"""
SIZES = {"B": 2, "T": 16, "U": 6}
BY_NAME = {item.name: item for item in BATTERY}


def drawn(item: Item, seed: int = 0) -> dict[str, Array]:
    return draw(parse_program(PROGRAM).functions["f"], SIZES, item, seed)


@pytest.mark.parametrize("item", BATTERY, ids=lambda item: item.name)
def test_every_item_draws_finite_numbers_that_fp16_holds_ids_below_their_bound_and_masks_of_ones_and_zeros(
    item: Item,
) -> None:
    inputs = drawn(item)
    x, mask, ids = inputs["x"], inputs["m"], inputs["id"]
    assert (x.shape, mask.shape, ids.shape) == ((2, 16, 8), (16,), (2, 6))
    assert np.array_equal(x, x.astype(np.float16))
    assert set(np.unique(mask)) <= {0.0, 1.0}
    assert ids.dtype.kind == "i"
    assert ids.min() >= 0
    assert ids.max() < 50


def test_the_same_seed_draws_the_same() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(drawn(NOISE).values(), drawn(NOISE).values()))
    assert not np.array_equal(drawn(NOISE)["x"], drawn(NOISE, seed=1)["x"])


@pytest.mark.parametrize("many", [1 << 18, 10])
def test_noise_in_half_is_that_of_inputs(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    monkeypatch.setattr("mctc.numerics.battery.MANY", many)
    monkeypatch.setattr("mctc.numerics.battery.AGAIN", 7)
    (x, *_) = parse_program(PROGRAM).functions["f"].inputs
    found = noise_in_half([("x", x.type.substitute(SIZES))], seed=3)["x"]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, drawn(NOISE, seed=3)["x"])


def test_silence_is_exactly_zero_and_lies_between_sounds_too() -> None:
    assert not drawn(SILENCE)["x"].any()
    frames = drawn(BROKEN)["x"].any(axis=(0, 2))
    assert frames[0]
    assert frames[-1]
    assert not frames[len(frames) // 2]


def test_constant_rows_have_no_variance_and_come_with_masks_of_zeros_and_ids_at_both_ends() -> None:
    inputs = drawn(CONSTANT)
    assert np.ptp(inputs["x"]) == 0
    assert inputs["x"].any()
    assert not inputs["m"].any()
    assert set(np.unique(inputs["id"])) == {0, 49}


def test_the_largest_and_the_smallest_numbers_are_those_of_fp16() -> None:
    large, small = (np.abs(drawn(BY_NAME[name])["x"]) for name in ("largest numbers", "smallest numbers"))
    assert large.min() >= 2**15
    assert np.isfinite(large.astype(np.float16)).all()
    assert 0 < small[small > 0].min() == np.float64(np.finfo(np.float16).smallest_subnormal)


def test_masks_are_all_ones_all_zeros_mixed_and_ragged() -> None:
    several = [drawn(BROKEN, seed)["m"] for seed in range(8)]
    assert all(list(ragged) == sorted(ragged, reverse=True) for ragged in several)
    assert len({ragged.sum() for ragged in several}) > 3
    assert {drawn(SILENCE)["m"].mean(), drawn(CONSTANT)["m"].mean()} == {0.0, 1.0}
    assert 0 < drawn(NOISE)["m"].mean() < 1


def test_lengths_end_at_several_places_inside_of_a_chunk() -> None:
    assert len({item.steps for item in BATTERY}) >= 4
    assert any(item.labels > 1 for item in BATTERY)


LIMITED = """function @f(%x: f32[batch B, time T], %p: f32[batch B, time T], %b: bool[time T]) {
    %y = log(%x)
    return y = %y, p = %p, b = %b
}"""


@pytest.mark.parametrize("item", BATTERY, ids=lambda item: item.name)
def test_an_input_is_fed_what_the_spec_says_that_it_may_be(item: Item) -> None:
    function = parse_program(LIMITED).functions["f"]
    function.domains = {"x": Interval(0, excluded=(True, False)), "p": Interval(0.25, 1)}
    inputs = draw(function, SIZES, item, 0)
    assert (inputs["x"] > 0).all()
    assert (inputs["p"] >= 0.25).all()
    assert (inputs["p"] <= 1).all()
    assert inputs["b"].dtype == bool


def test_noise_of_many_numbers_is_some_again_and_again_in_no_two_rows_alike() -> None:
    function = parse_program("function @f(%x: f32[time T, channel 1024]) { %y = relu(%x) return y = %y }").functions[
        "f"
    ]
    few, many = (draw(function, {"T": frames})["x"] for frames in (255, 700))
    np.testing.assert_array_equal(many[:60], few[:60])
    assert len(np.unique(many, axis=0)) == len(many)
    assert len(np.unique(many.T, axis=0)) == 1024
    assert abs(many.mean()) < 0.02
    assert abs(many.std() - 1) < 0.02
