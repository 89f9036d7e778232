"""silu's and gelu's tables: what follows from published places, and the bounds of what doesn't."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.engine.activations import HALVES, activate
from mctc.evaluate.engine.fitted import FITTED
from mctc.evaluate.engine.interpolation import Table, sampled


@pytest.mark.parametrize("name", FITTED)
def test_neighbouring_intervals_give_the_knot_between_them_the_same_value(name: str) -> None:
    """Two places at which the table is exact make a line; that the next two agree is what makes this no guess."""
    fitted = FITTED[name]
    found: dict[float, list[float]] = {}
    for one, other in fitted.exact:
        at = fitted.function(np.array([one, other]))
        slope = (at[1] - at[0]) / (other - one)
        lower = fitted.first + (one - fitted.first) // fitted.step * fitted.step
        assert other < lower + fitted.step
        for knot in (lower, lower + fitted.step):
            found.setdefault(knot, []).append(at[0] + slope * (knot - one))
    twice = [values for values in found.values() if len(values) == 2]
    assert len(twice) == len(fitted.exact) - 1
    assert max(abs(one - other) for one, other in twice) < 2e-5
    assert len(fitted.known()) == {"silu": 9, "gelu": 10}[name]


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("unknown", ["low", "mid", "high"])
def test_every_table_keeps_the_published_largest_error(name: str, unknown: str) -> None:
    fitted = FITTED[name]
    x = HALVES[np.abs(HALVES) <= 10].astype(np.float32)
    error = np.abs(activate(name, x, unknown) - fitted.function(x.astype(np.float64)))
    assert error.max() <= fitted.largest * 1.001


@pytest.mark.parametrize("name", FITTED)
def test_the_middle_lies_between_the_ends_and_known_values_do_not_move(name: str) -> None:
    low, mid, high = (FITTED[name].table(each).values for each in ("low", "mid", "high"))
    assert (low <= mid).all() and (mid <= high).all()  # noqa: PT018
    known = list(FITTED[name].known())
    np.testing.assert_array_equal(low[known], high[known])
    free = np.setdiff1d(np.arange(33), known)
    assert (low[free] < high[free]).all()


def test_a_table_gives_its_values_at_the_knots_and_the_line_between_them() -> None:
    table = Table.of(-1.0, 0.5, np.array([0.0, 1.0, 0.0, -2.0, 4.0]))
    np.testing.assert_array_equal(table(table.knots), table.values)
    np.testing.assert_array_equal(table(np.array([-0.75, 0.25, 0.875])), [0.5, -1.0, 2.5])


def test_a_fraction_rounds_to_fp16_before_it_is_added_to_the_nearer_knot() -> None:
    """Next to a knot of small value the line keeps fine steps, wherever it comes from."""
    table = sampled(np.tanh, 0.0, 0.125)
    x = float(np.float16(0.689))
    near, far = table.values[6], table.values[5]
    part = (x - 0.75) / 0.125
    rounded = float(np.float16(part * (near - far)))
    assert table(np.array([x]))[0] == near + rounded
