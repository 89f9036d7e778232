"""What counts as agreement between an artifact and its program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.build.agreement import agreement
from mctc.build.options import BuildError

NAN, INF = float("nan"), float("inf")


def compared(expected: list[float], actual: list[float]) -> float:
    return agreement(Path("a"), "f", "y", np.array(expected), np.array(actual), 1e-3).error


def test_the_error_is_of_the_largest_magnitude() -> None:
    assert compared([1.0, -4.0], [1.0, -4.002]) == pytest.approx(5e-4)


def test_no_number_on_both_sides_agrees_and_the_others_count() -> None:
    assert compared([NAN, 2.0], [NAN, 2.0]) == 0
    with pytest.raises(BuildError, match=r"differs from the program by 0\.5"):
        compared([NAN, 2.0], [NAN, 1.0])


@pytest.mark.parametrize(("expected", "actual"), [(1.0, NAN), (NAN, 1.0), (1.0, INF), (INF, INF)])
def test_no_number_on_one_side_is_a_difference(expected: float, actual: float) -> None:
    with pytest.raises(BuildError, match="differs from the program"):
        compared([expected, 1.0], [actual, 1.0])
