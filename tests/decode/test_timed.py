"""Words with their times and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.timed import TimedWord, timed_words


@dataclass(frozen=True)
class Spelled:
    text: str
    first: int
    last: int


FOUND = Hypothesis((4, 1, 4, 5, 6), -1.0, (0, 2, 10, 12, 12), (0.9, 0.1, 0.8, 0.6, 0.7))
SPANS = [Spelled("a", 0, 1), Spelled("bcd", 2, 5)]


def test_a_word_lasts_from_its_first_label_to_the_frame_of_its_last() -> None:
    assert timed_words(FOUND, SPANS, 0.04) == (
        TimedWord("a", 0.0, pytest.approx(0.04), 0.9),
        TimedWord("bcd", pytest.approx(0.4), pytest.approx(0.52), pytest.approx(0.7)),
    )


def test_words_are_moved_back_by_the_delay_but_not_before_the_start() -> None:
    first, second = timed_words(FOUND, SPANS, 0.04, delay_s=0.3)
    assert (first.start, first.end) == (0.0, 0.0)
    assert (second.start, second.end) == pytest.approx((0.1, 0.22))


def test_a_word_ends_where_the_next_begins_at_the_latest() -> None:
    spans = [Spelled("x", 0, 4), Spelled("y", 4, 5)]
    first, second = timed_words(FOUND, spans, 0.04)
    assert first.end == second.start == pytest.approx(0.48)
    assert timed_words(FOUND, [], 0.04) == ()


def test_a_hypothesis_without_frames_has_no_times() -> None:
    with pytest.raises(ValueError, match="no frames"):
        timed_words(Hypothesis((1,), 0.0, (), (0.5,)), SPANS[:1], 0.04)
