"""Greedy search over labels, with a table in place of a decoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mctc.decode import DecodeError, Vocabulary
from mctc.decode.attention import greedy_labels
from mctc.decode.stepper import Floats

NEXT = {3: 5, 5: 1, 1: 4, 4: 0}
WORDS = Vocabulary.first(6)


class Chain:
    """Every token has one that follows it; the padded logit is above all others."""

    def __init__(self) -> None:
        self.given: list[list[int]] = []

    def take(self, tokens: Sequence[int]) -> Floats:
        self.given.append(list(tokens))
        logits = np.zeros(8, np.float32)
        logits[NEXT[tokens[-1]]], logits[7] = 1.0, 9.0
        return logits


def test_it_goes_from_the_start_to_the_end_token() -> None:
    chain = Chain()
    assert list(greedy_labels(chain, WORDS, [2, 3], end=0, longest=9)) == [5, 1, 4]
    assert chain.given == [[2, 3], [5], [1], [4]]


def test_it_stops_at_the_longest() -> None:
    chain = Chain()
    assert list(greedy_labels(chain, WORDS, [3], end=0, longest=2)) == [5, 1]
    assert len(chain.given) == 2


def test_a_start_is_needed() -> None:
    with pytest.raises(ValueError, match="to start from"):
        next(greedy_labels(Chain(), WORDS, [], end=0, longest=1))


def test_logits_that_are_no_numbers_end_it() -> None:
    class Broken(Chain):
        def take(self, tokens: Sequence[int]) -> Floats:
            return np.full(8, np.nan, np.float32)

    with pytest.raises(DecodeError):
        list(greedy_labels(Broken(), WORDS, [3], end=0, longest=1))
