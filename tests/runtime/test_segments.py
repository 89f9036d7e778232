"""Parts of a text between its times, by hand."""

from __future__ import annotations

import pytest

from mctc.runtime.segments import Segment, segments

ZERO = 10  # times 10, 11, ... in steps of 0.5 s


def parts(*labels: int) -> tuple[list[Segment], float]:
    return segments(labels, ZERO, 0.5, 100.0, 30.0)


def test_a_window_goes_on_from_the_last_pair_of_times() -> None:
    found, later = parts(10, 1, 2, 12, 12, 3, 15, 16, 4)
    assert found == [Segment(100.0, 101.0, (10, 1, 2, 12)), Segment(101.0, 102.5, (12, 3, 15))]
    assert later == 2.5


def test_a_time_alone_at_the_end_closes_the_window() -> None:
    found, later = parts(10, 1, 12, 13, 3, 15)
    assert found == [Segment(100.0, 101.0, (10, 1, 12)), Segment(101.5, 102.5, (13, 3, 15))]
    assert later == 30.0


@pytest.mark.parametrize(("labels", "end"), [((10, 1, 14), 102.0), ((10, 1, 2), 130.0), ((1, 2), 130.0)])
def test_without_pairs_a_window_is_one_part(labels: tuple[int, ...], end: float) -> None:
    assert parts(*labels) == ([Segment(100.0, end, labels)], 30.0)


def test_nothing_said_is_no_part() -> None:
    assert parts() == ([], 30.0)
