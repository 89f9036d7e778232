"""What must not follow, by labels that are letters and times."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.decode.label_rules import LeftOut, Times

END, NONE, ZERO, SIZE = 3, 4, 5, 10  # texts 0 to 2, the end, no times, and five times
TIMES = Times(ZERO, END, latest=2, without=NONE)


def allowed(labels: list[int], times: float = -9.0) -> list[int]:
    """Which labels may follow, where every text is as likely and every time has the log-probability `times`."""
    scores = np.full(SIZE, -2.0)
    scores[ZERO:] = times
    TIMES(labels, scores)
    return np.flatnonzero(np.isfinite(scores)).tolist()


@pytest.mark.parametrize(
    ("labels", "may"),
    [
        ([], [5, 6, 7]),  # a time of at most two steps
        ([6], [0, 1, 2, 3]),  # a part has a text
        ([6, 1], [0, 1, 2, 3, 7, 8, 9]),  # no time of the part's start or before
        ([6, 1, 8], [3, 8, 9]),  # a second time, or the end
        ([6, 1, 8, 8], [0, 1, 2, 3]),
        ([6, 1, 8, 8, 2], [0, 1, 2, 3, 9]),
    ],
)
def test_times_stand_in_pairs_around_texts(labels: list[int], may: list[int]) -> None:
    assert allowed(labels) == may


def test_a_time_follows_where_all_times_together_are_likelier_than_any_text() -> None:
    assert allowed([6, 1], times=-3.0) == [7, 8, 9]  # 3 exp(-3) > exp(-2)
    assert allowed([6, 1], times=-3.2) == [0, 1, 2, 3, 7, 8, 9]


def test_labels_are_left_out_always_or_at_the_start() -> None:
    for first, labels, left in ((False, [1], 2), (True, [], 2), (True, [1], 4)):
        scores = np.zeros(4)
        LeftOut((0, 3), first)(labels, scores)
        assert int(np.isfinite(scores).sum()) == left
