"""Texts of training: none is a text of a test, or has one in it."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.draw import MOST_WORDS, Held, Source
from corpus.words import words

SENTENCES = [
    f"{who} {did} the {what}." for who in ("anna", "bert") for did in ("sold", "saw") for what in ("boat", "hill")
]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("press one to go on", True),
        ("please press one to go on now", True),
        ("press one to go", False),
        ("hello", True),
        ("hello there", False),
    ],
)
def test_a_held_text_is_found_whole_and_a_long_one_inside_of_others(text: str, has: bool) -> None:
    assert Held.of(["press one to go on", "hello"]).has(text) is has


def test_no_drawn_text_is_held() -> None:
    held = Held.of([words(SENTENCES[0]), "boat", "hill", "please"])
    source = Source(SENTENCES[1:], ["call the pound key."], held)
    rng = np.random.default_rng(0)
    texts = [source.drawn(at, rng) for at in range(2000)]
    assert not any(held.has(words(part)) for parts in texts for part in (*parts, " ".join(parts)))
    assert {len(parts) for parts in texts} == {1, 2, 3, 4}
    assert max(len(words(" ".join(parts)).split()) for parts in texts) <= MOST_WORDS
    assert ("call the pound key.",) in texts


def test_nothing_to_say_but_what_is_held_is_an_error() -> None:
    source = Source(["please."], (), Held.of(["please"]), few=True)
    with pytest.raises(RuntimeError, match="texts of tests"):
        source.drawn(0, np.random.default_rng(0))


def test_few_sentences_and_their_parts_are_all_that_is_said() -> None:
    source = Source(SENTENCES[:2], (), Held.of(()), few=True)
    rng = np.random.default_rng(0)
    said = [source.drawn(at, rng) for at in range(200)]
    known = [f" {words(sentence)} " for sentence in SENTENCES[:2]]
    assert all(len(parts) == 1 and any(f" {words(parts[0])} " in each for each in known) for parts in said)
    assert 20 < sum(parts[0] in SENTENCES for parts in said) < 180
