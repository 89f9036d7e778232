"""Recordings cut between their words."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import pytest

from corpus.sound import RATE, Said
from corpus.splices import FADE_S, ends_of, spliced

TEXT, ENDS = "zero one two three four five", (0.2, 0.25, 0.6, 0.9, 1.1, 1.4)


@pytest.fixture
def said() -> Said:
    """Each word is a level of its own: its number, and one more."""
    levels = [np.full(round((end - begin) * RATE), at + 1.0) for at, (begin, end) in enumerate(pairwise((0.0, *ENDS)))]
    return Said(np.concatenate(levels).astype(np.float32), RATE, ENDS)


def test_what_is_heard_is_what_is_told(said: Said) -> None:
    """Each word by its level, where that lasts: fades and pauses are shorter, or zero."""
    for seed in range(50):
        text, whole = spliced([(TEXT, said)], np.random.default_rng(seed))
        runs = [(level, len(list(run))) for level, run in groupby(whole.samples.tolist())]
        heard = [int(level) for level, count in runs if level and count > 2 * FADE_S * RATE]
        assert [TEXT.split()[level - 1] for level in heard] == text.split()


def test_a_joint_is_no_click(said: Said) -> None:
    _, whole = spliced([(TEXT, said)], np.random.default_rng(1))
    assert whole.samples[0] == whole.samples[-1] == 0.0
    assert whole.samples[round(FADE_S * RATE)] >= 1.0


def test_recordings_whose_words_lie_too_close_stay_whole() -> None:
    short = Said(np.ones(800, np.float32), RATE, (0.01, 0.02))
    text, whole = spliced([("two words", short)], np.random.default_rng(0))
    assert set(text.split()) == {"two", "words"}
    assert whole.samples.size >= 1600


def test_the_words_of_a_prompt_end_in_their_order() -> None:
    assert ends_of("no such prompt") == ()
    ends = ends_of("conf-getconfno")
    assert len(ends) == 10
    assert list(ends) == sorted(ends)
