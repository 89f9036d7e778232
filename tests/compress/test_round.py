"""Rounding that knows the inputs: better than the nearest, and what a build finds again in a checkpoint of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mctc.compress.compensated import Order, compensated, descended
from mctc.compress.errors import CompressError
from mctc.compress.grids import ScaledGrid, TableGrid
from mctc.compress.round import EFFORTS, Known, again, plain, rounded
from mctc.compress.tables import clustered, fitted
from mctc.ir.program import Quantization
from mctc.quantize import quantize

random = np.random.default_rng(5)
WEIGHT = (random.standard_t(4, (32, 40)) * random.uniform(0.02, 0.2, (32, 1))).astype(np.float32)
MIXED = random.normal(0, 1, (40, 12)) @ random.normal(0, 1, (12, 40)) + 0.3 * random.normal(0, 1, (40, 40))
MOMENT = MIXED @ MIXED.T / 40  # inputs that go together
FISHER = np.outer(random.uniform(0.5, 2, 32), np.diag(MOMENT)) * random.uniform(0.5, 1.5, (32, 40))
KNOWN = Known(MOMENT, FISHER)
FORMS = [
    Quantization("int8", 8),
    Quantization("int4", 4),
    *(Quantization("palette", bits, group) for bits in (1, 2, 3, 4, 6, 8) for group in (None, 8)),
]


@pytest.mark.parametrize("how", FORMS, ids=str)
def test_a_build_finds_the_very_values_again(how: Quantization) -> None:
    found = rounded(WEIGHT, how, KNOWN)
    assert again(found, how)
    assert np.array_equal(quantize(found.values, how).dequantize(), found.values.astype(np.float16))


@pytest.mark.parametrize("how", FORMS, ids=str)
def test_it_changes_what_comes_out_less_than_the_nearest(how: Quantization) -> None:
    found, nearest = rounded(WEIGHT, how, KNOWN), plain(WEIGHT, how, KNOWN)
    assert found.cost < 0.7 * nearest.cost
    assert nearest.cost == pytest.approx(KNOWN.cost(WEIGHT, nearest.values))


@pytest.mark.parametrize("how", [Quantization("int8", 8, axis=1), Quantization("palette", 3, 8, axis=1)], ids=str)
def test_of_a_table_whose_channels_lie_behind_each_error_meets_its_own_gradient(how: Quantization) -> None:
    known = Known(None, FISHER)
    for found in (rounded(WEIGHT, how, known), plain(WEIGHT, how, known)):
        assert found.cost == pytest.approx(0.5 * (FISHER * np.square(found.values - WEIGHT)).sum(), rel=1e-4)


@pytest.mark.parametrize("how", FORMS[1:], ids=str)
def test_more_effort_is_no_worse(how: Quantization) -> None:
    costs = [rounded(WEIGHT, how, KNOWN, EFFORTS[name]).cost for name in ("nearest", "quick", "full")]
    costs = [plain(WEIGHT, how, KNOWN).cost, *costs]
    assert all(more < less * 1.01 for less, more in pairwise(costs))  # a tie is broken by the last bit of a sum


def test_scales_alone_make_up_for_some_of_what_the_nearest_loses() -> None:
    found = rounded(WEIGHT, FORMS[1], KNOWN, EFFORTS["nearest"])
    assert found.way == "scales of the inputs' power"
    assert again(found, FORMS[1])
    assert found.cost < 0.9 * plain(WEIGHT, FORMS[1], KNOWN).cost


@pytest.mark.parametrize("how", [FORMS[1], Quantization("palette", 3, 8)], ids=str)
def test_rows_that_are_rounded_apart_come_out_as_together(how: Quantization, monkeypatch: pytest.MonkeyPatch) -> None:
    together = rounded(WEIGHT, how, KNOWN)
    monkeypatch.setattr("mctc.compress.round.TOGETHER", 8)
    apart = rounded(WEIGHT, how, KNOWN)
    assert again(apart, how)
    assert apart.cost == pytest.approx(together.cost, rel=1e-2)


def test_kernels_keep_their_shape_and_rows_are_their_output_channels() -> None:
    kernel = WEIGHT.reshape(32, 10, 2, 2)
    found = rounded(kernel, Quantization("int4", 4), KNOWN)
    assert np.array_equal(found.values.reshape(32, 40), rounded(WEIGHT, Quantization("int4", 4), KNOWN).values)


def test_without_statistics_a_weight_is_rounded_as_a_build_does() -> None:
    for how in FORMS[:2]:
        found = rounded(WEIGHT, how, Known(None, None))
        assert found.way == "nearest"
        assert np.array_equal(found.values.astype(np.float16), quantize(WEIGHT, how).dequantize())


def test_columns_of_a_table_are_rounded_as_they_are() -> None:
    how = Quantization("int8", 8, axis=1)
    found = rounded(WEIGHT, how, Known(None, FISHER))
    assert found.way == "nearest"
    assert again(found, how)


def test_independent_inputs_leave_nothing_to_make_up_for() -> None:
    grid = ScaledGrid.of(WEIGHT.astype(np.float64), "int4")
    found = compensated(WEIGHT.astype(np.float64), grid, Order.of(np.eye(40)))
    nearest = np.stack([grid.nearest(at, WEIGHT[:, at].astype(np.float64)) for at in range(40)], axis=1)
    np.testing.assert_array_equal(found, nearest)


def test_after_the_descent_no_change_of_one_number_is_better() -> None:
    weight = WEIGHT.astype(np.float64)
    grid = clustered(weight, 8, 2, np.ones_like(weight))
    found = compensated(weight, grid, KNOWN.order)
    costs = [KNOWN.cost(weight, found)]
    for _ in range(20):
        found = descended(weight, found, grid, MOMENT, KNOWN.order.columns)
        costs.append(KNOWN.cost(weight, found))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.98 * costs[0]
    row = Known(MOMENT, None)
    for column in range(40):
        for entry in range(8):
            other = found.copy()
            other[:, column] = np.repeat(grid.table[:, entry], 16)
            assert row.cost(weight[:1], other[:1]) >= row.cost(weight[:1], found[:1]) * (1 - 1e-9)


def test_the_fit_of_a_table_is_the_best_for_its_codes() -> None:
    weight, rows = WEIGHT.astype(np.float64), KNOWN.rows(WEIGHT)
    grid = clustered(weight, 8, 2, np.ones_like(weight))
    found = compensated(weight, grid, KNOWN.order)
    better, values = fitted(weight, found, grid, MOMENT, rows)
    codes = [np.searchsorted(table, part) for table, part in zip(grid.table, np.split(found, 2))]

    def cost(tables: np.ndarray) -> float:
        return KNOWN.cost(weight, np.concatenate([table[code] for table, code in zip(tables, codes)]))

    assert cost(better.table) <= cost(grid.table)
    assert np.array_equal(values, np.concatenate([table[code] for table, code in zip(better.table, codes)]))
    for group in range(2):
        for entry in range(8):
            for step in (-0.02, 0.02):
                moved = better.table.copy()
                moved[group, entry] += step
                assert cost(moved) > cost(better.table)


def test_a_table_gives_the_nearest_of_each_rows_own_entries() -> None:
    grid = TableGrid(np.array([[0.0, 1.0], [0.0, 10.0]]), 4)
    assert grid.nearest(0, np.array([0.4, 0.6, 4.0, 6.0])).tolist() == [0.0, 1.0, 0.0, 10.0]


def test_a_group_of_few_different_numbers_has_a_table_of_them() -> None:
    weight = WEIGHT.copy()
    weight[:8], weight[8:16] = 0.25, np.where(weight[8:16] > 0, 0.5, -0.5)
    found = rounded(weight, Quantization("palette", 3, 8), KNOWN)
    np.testing.assert_array_equal(found.values[:16], weight[:16])


def test_a_dead_input_harms_nothing() -> None:
    moment = MOMENT.copy()
    moment[3] = moment[:, 3] = 0
    assert np.isfinite(rounded(WEIGHT, Quantization("int4", 4), Known(moment, FISHER)).values).all()
    zeros = rounded(WEIGHT, Quantization("int4", 4), Known(np.zeros((40, 40)), FISHER))
    assert np.isfinite(zeros.values).all()


def test_products_that_are_none_are_refused() -> None:
    with pytest.raises(CompressError, match="products of inputs"):
        Order.of(-MOMENT)
