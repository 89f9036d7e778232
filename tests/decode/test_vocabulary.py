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
        with pytest.raises(DecodeError, match=rf"the highest logit is {wrong}, at place \[1, 2\]"):
            words.log_probabilities(logits)
    with pytest.raises(DecodeError, match=r"the highest logit is -inf, at place \[1\]"):
        words.log_probabilities(np.array([[0.0, 1.0, 2.0], [-np.inf] * 3]))


@pytest.mark.parametrize("shift", [-60000, -100, 100, 60000])
def test_logits_of_one_sign_have_the_probabilities_of_their_differences(shift: float) -> None:
    words, logits = Vocabulary.first(3), np.array([[0.0, 32.0, 64.0], [-64.0, 64.0, 0.0]])
    moved = (logits + shift).astype(np.float16)
    assert np.isfinite(moved).all()
    assert words.log_probabilities(moved) == pytest.approx(words.log_probabilities(logits), abs=0.1)


def test_a_token_that_is_certain_leaves_the_others_finite() -> None:
    found = Vocabulary.first(3).log_probabilities(np.array([65504.0, -65504.0, -65504.0], np.float16))
    assert found.tolist() == [0.0, -131008.0, -131008.0]
