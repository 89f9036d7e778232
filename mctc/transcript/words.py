"""Words of labels that a search found, as they can be printed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.timed import TimedWord, timed_words
from mctc.tokens import Tokens, Word

CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)  # what would move a line, or its text


def words_of(tokens: Tokens, found: Hypothesis, frame_s: float) -> tuple[TimedWord, ...]:
    """The words of a hypothesis with their times, as they can be printed; `frame_s`: seconds of an encoded frame."""
    spans = [replace(word, text=printable(word.text)) for word in tokens.words(found.ids)]
    return timed_words(found, spans, frame_s)


def settled(words: Sequence[Word], final: int, labels: int) -> int:
    """How many of the words of `labels` labels never change, where the first `final` labels don't: the last word may
    still grow."""
    return sum(word.last <= final and word.last < labels for word in words)


def printable(text: str) -> str:
    """A text in one line, without characters that control a terminal."""
    return CONTROL.sub(" ", text)


def spoken(words: Sequence[TimedWord]) -> str:
    """The words as one text."""
    return " ".join(word.text for word in words)
