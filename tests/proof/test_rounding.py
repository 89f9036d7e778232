"""Roundings of the reference: which numbers they move, and by how much."""

from __future__ import annotations

import numpy as np

from mctc.evaluate.reference import evaluate
from mctc.ir.rounding import Rounding
from mctc.ir.text import parse_program
from mctc.numerics.difference import Difference, within
from mctc.numerics.limits import FP32

NEAREST, JITTER = Rounding(np.float32), Rounding(np.float32, jitters=1)
U = 2.0**-24


def test_numbers_of_the_type_stay_and_others_move_by_half_of_a_digit() -> None:
    held, between = np.array([0.5, -3.25, 60000.0]), np.array([0.1, 1 / 3, -7e-9])
    assert (NEAREST(held) == held).all()
    moved = np.abs(NEAREST(between) - between) / np.abs(between)
    assert ((moved > 0) & (moved <= U)).all()


def test_jitter_moves_numbers_that_the_type_holds_but_no_masks_and_counts() -> None:
    held = np.array([0.5, -3.25, 60000.0])
    assert np.allclose(np.abs(JITTER(held) / held - 1), U, rtol=1e-6)
    exact = np.array([0.0, 1.0, -1.0, 7.0, 2048.0])
    assert (JITTER(exact) == exact).all()


def test_ids_and_marks_are_no_numbers() -> None:
    for array in (np.arange(3), np.array([True, False])):
        assert JITTER(array) is array


def test_a_small_gate_is_off_by_a_digit_of_one() -> None:
    gate = np.array([1.6e-5])
    assert 1e-9 < abs(float(JITTER.gate(gate)[0] - gate[0])) <= 2 * U


def test_a_sum_that_cancels_is_off_by_what_its_terms_are_off() -> None:
    function = parse_program("function @f(%x: f32[channel 2]) { %a = reduce_sum(%x, axis = channel) return y = %a }")
    f, x = function.functions["f"], np.array([40960.0, -40960.25])
    exact, rounded, jittered = (
        evaluate(f, {"x": x}, lambda _: np.zeros(0), rounding=each)[0]["y"] for each in (None, NEAREST, JITTER)
    )
    assert exact == rounded == -0.25
    assert 0 < abs(float((jittered - exact).item())) <= 2 * U * 40961


def test_a_small_number_next_to_the_middle_takes_either_step_beside_large_ones() -> None:
    x = np.array([0.5 - 2e-5, -4.5 + 2e-5, 126.0])
    found = {tuple(Rounding(np.float32, jitters=seed).steps(x)[:2]) for seed in range(1, 9)}
    assert {first for first, _ in found} == {0.0, 1.0}
    assert {second for _, second in found} == {-4.0, -5.0}
    alone = {float(Rounding(np.float32, jitters=seed).steps(x[:1]).item()) for seed in range(1, 9)}
    assert alone == {0.0}


def test_what_is_no_number_moves_no_other_to_another_step() -> None:
    stepped = JITTER.steps(np.array([np.nan, 3.2, -1.9]))
    assert np.isnan(stepped[0])
    assert stepped[1:].tolist() == [3.0, -2.0]


def test_a_mean_in_float64_is_off_by_digits_of_float64() -> None:
    x = np.array([[0.1, 0.7, 1.3]])
    for seed in range(4):
        assert abs(float(Rounding(np.float64, seed).mean(x, 1).item()) - x.mean()) < 1e-15


def test_a_sum_of_equal_terms_is_off_as_one_that_is_rounded_term_by_term() -> None:
    terms = np.full((400, 1), 0.09)
    added = np.cumsum(terms, 0, np.float32)[-1:]
    assert abs(added.item() / 36 - 1) > 8 * U
    np.testing.assert_allclose(36 + JITTER.lost(terms, 0), added, rtol=2 * U)
    assert Rounding(None).lost(terms, 0) == NEAREST.lost(terms, 0) == 0
    assert 0 < abs(np.asarray(Rounding(np.float64, jitters=1).lost(terms, 0)).item()) < 1e-11


def test_what_is_left_where_a_mean_of_squares_cancels_is_explained_by_its_terms_one_after_the_other() -> None:
    """A variance as it is often pooled over frames, E[x x] - E[x] E[x], by an engine that adds term after term."""
    function = parse_program("""function @f(%x: f32[batch 1, time 400, channel 1]) {
        %m = reduce_mean(%x, axis = time) %s = square(%x) %e = reduce_mean(%s, axis = time)
        %n = square(%m) %v = sub(%e, %n) return v = %v
    }""").functions["f"]
    x = np.where(np.arange(400) == 7, 0.31, 0.3).astype(np.float32)[None, :, None]

    def variance(rounding: Rounding | None) -> float:
        return float(evaluate(function, {"x": x}, lambda _: np.zeros(0), rounding=rounding)[0]["v"].item())

    mean, square = (np.cumsum(each, dtype=np.float32)[-1] / np.float32(400) for each in (x, x * x))
    engine, exact = float(square - mean * mean), variance(None)

    def predicted(rounding: Rounding) -> Difference:
        return Difference(error=abs(variance(rounding) / exact - 1))

    assert abs(engine / exact - 1) > 0.05
    assert within(Difference(error=abs(engine / exact - 1)), FP32, predicted)
    assert not within(Difference(error=1000 * abs(engine / exact - 1)), FP32, predicted)
