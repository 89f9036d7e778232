"""Counts are those of the fewest edits, and pairs hold each word once."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest

from mctc.score.alignment import Counts, characters, words
from mctc.score.errors import ScoreError

pytest.importorskip("jiwer")


def distance(said: tuple[str, ...], heard: tuple[str, ...]) -> int:
    @cache
    def of(one: int, other: int) -> int:
        if not one or not other:
            return one + other
        changed = of(one - 1, other - 1) + (said[one - 1] != heard[other - 1])
        return min(changed, of(one - 1, other) + 1, of(one, other - 1) + 1)

    return of(len(said), len(heard))


def test_counts_of_words_are_the_fewest_edits_and_pairs_hold_every_word() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        said, heard = (tuple(str(each) for each in rng.choice(list("abc"), size=rng.integers(0, 7))) for _ in range(2))
        counts, pairs = words(said, heard)
        assert counts.errors == distance(said, heard) == sum(one != other for one, other in pairs)
        assert counts.said == len(said)
        assert counts.deletions == sum(other is None for _, other in pairs)
        assert counts.insertions == sum(one is None for one, _ in pairs)
        assert [one for one, _ in pairs if one is not None] == list(said)
        assert [other for _, other in pairs if other is not None] == list(heard)


def test_characters_have_the_spaces_among_them() -> None:
    assert characters("a b", "ab") == Counts(said=3, deletions=1)


def test_counts_add_up_and_nothing_said_has_no_rate() -> None:
    assert Counts(4, 1, 0, 0) + Counts(2, 0, 1, 1) == Counts(6, 1, 1, 1)
    assert (Counts(4, 1, 1, 0).rate, Counts(0, 0, 0, 1).rate) == (0.5, None)


def test_a_missing_library_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ScoreError, match="jiwer") as raised:
        words(("a",), ("a",))
    assert "mctc[score]" in str(raised.value.hint)
