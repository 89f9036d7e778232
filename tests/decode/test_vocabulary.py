"""Which logits may win, and which token each stands for."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.decode import DecodeError, Vocabulary


def test_probabilities_are_those_of_the_tokens_alone() -> None:
    logits = np.array([[1.0, 2.0, 3.0, 9.0]], np.float16)
    found = Vocabulary.first(3).log_probabilities(logits)
    assert np.exp(found).sum() == pytest.approx(1)
    assert found[0, 2] - found[0, 0] == pytest.approx(2)
    assert Vocabulary.first(3).log_probabilities(logits, blank=2, penalty=1.5)[0, 2] < found[0, 2]


def test_logits_in_another_order_go_by_token() -> None:
    mixed = Vocabulary.mapped([2, -1, 0])
    found = np.exp(mixed.log_probabilities(np.array([np.log(3.0), 50.0, 0.0, 50.0])))
    assert found == pytest.approx([0.25, 0.0, 0.75])
    assert mixed.size == 3


@pytest.mark.parametrize("tokens", [(), (-1,), (0, 0), (0, -2)])
def test_tokens_that_cannot_be_are_refused(tokens: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary(tokens)


def test_logits_that_are_none_are_named() -> None:
    words, logits = Vocabulary.first(2), np.zeros((2, 3, 2))
    with pytest.raises(DecodeError, match=r"not \[..., 2 or more\]"):
        words.log_probabilities(logits[..., :1])
    for wrong in (np.nan, np.inf):
        logits[1, 2, 0] = wrong
        with pytest.raises(DecodeError, match=rf"a logit is {wrong}, at place \[1, 2\]"):
            words.log_probabilities(logits)
