"""The tree of phrases against a search for each phrase at each place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.hotwords import Hotwords, Phrase
from mctc.decode.search import ctc_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary

SIZE = 4
WORDS = st.lists(st.integers(1, SIZE - 1), min_size=1, max_size=4).map(tuple)


def total(scorer: Hotwords, ids: list[int]) -> float:
    """What a finished utterance gains."""
    state, gained = scorer.start(), 0.0
    for label in ids:
        gained += float(scorer.scores([state])[0, label])
        (state,) = scorer.advance([label], [state])
    return gained + float(scorer.ends([state])[0])


def occurrences(ids: tuple[int, ...], phrase: tuple[int, ...]) -> int:
    return sum(ids[at : at + len(phrase)] == phrase for at in range(len(ids)))


@settings(max_examples=100)
@given(
    phrases=st.lists(WORDS, unique=True, max_size=5),
    ids=st.lists(st.integers(0, SIZE - 1), max_size=12),
    boosts=st.lists(st.floats(0.5, 3), min_size=5, max_size=5),
)
def test_a_finished_utterance_gains_every_phrase_in_it_and_nothing_else(
    phrases: list[tuple[int, ...]], ids: list[int], boosts: list[float]
) -> None:
    scorer = Hotwords([Phrase(phrase, boost) for phrase, boost in zip(phrases, boosts)], SIZE)
    expected = sum(boost * len(phrase) * occurrences(tuple(ids), phrase) for phrase, boost in zip(phrases, boosts))
    assert total(scorer, ids) == pytest.approx(expected)


@settings(max_examples=100)
@given(phrases=st.lists(WORDS, unique=True, max_size=5), ids=st.lists(st.integers(0, SIZE - 1), max_size=12))
def test_between_spaces_only_whole_words_count(phrases: list[tuple[int, ...]], ids: list[int]) -> None:
    scorer = Hotwords([Phrase(phrase) for phrase in phrases], SIZE, around=0)
    text = (0, *ids, 0)
    assert total(scorer, ids) == pytest.approx(
        sum(len(phrase) * occurrences(text, (0, *phrase, 0)) for phrase in phrases)
    )


def test_what_a_phrase_has_added_is_given_back_where_it_breaks_off() -> None:
    scorer = Hotwords([Phrase((1, 2, 3), 2.0), Phrase((2, 2), 1.0)], SIZE)
    (one,) = scorer.advance([1], [scorer.start()])
    (two,) = scorer.advance([2], [one])
    assert scorer.scores([scorer.start(), one, two]).tolist() == [
        [0, 2, 1, 0],  # begins a phrase
        [-2, 0, 2, -2],  # begins again, goes on, breaks off
        [-4, -2, -4 + 2, 2],  # the second label begins the other phrase, which is whole now
    ]


def test_a_beam_hears_a_hotword_that_is_not_the_likeliest() -> None:
    logits = np.log(np.array([[0.02, 0.5, 0.48, 1e-9], [0.9, 0.05, 0.05, 1e-9], [0.02, 0.08, 0.5, 0.4]]))
    told, words = Settings(method="beam"), Vocabulary.first(SIZE)
    found = []
    for scorers in ([], [Hotwords([Phrase((2, 3), 1.0)], SIZE)]):
        search = ctc_search(words, told, scorers)
        search.accept(logits)
        found.append(search.finish()[0].ids)
    assert found == [(1, 2), (2, 3)]


@pytest.mark.parametrize("ids", [(), (4,), (-1, 2)])
def test_labels_that_are_none_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="labels from 0 to 3"):
        Hotwords([Phrase(ids)], SIZE)


def test_a_greedy_search_takes_no_hotwords() -> None:
    with pytest.raises(ValueError, match="take a beam"):
        ctc_search(Vocabulary.first(SIZE), Settings(), [Hotwords([Phrase((1,))], SIZE)])
