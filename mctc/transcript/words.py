"""Words with their times, of labels that a search found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mctc.decode.hypothesis import Hypothesis
from mctc.tokens import Tokens, Word

CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"
)  # what would move a line, or its text


@dataclass(frozen=True)
class TimedWord:
    """A word, and the seconds from the start of the audio in which its labels were emitted.

    confidence: that of the least sure of its labels, 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float


def timed_words(tokens: Tokens, found: Hypothesis, frame_s: float) -> list[TimedWord]:
    """The words of a hypothesis; `frame_s`: seconds of an encoded frame.

    A word lasts from the frame of its first label to the end of that of its last, or to where the next word begins.
    """
    words = [
        TimedWord(
            printable(word.text),
            found.frames[word.first] * frame_s,
            (found.frames[word.last - 1] + 1) * frame_s,
            min(found.confidences[word.first : word.last]),
        )
        for word in tokens.words(found.ids)
    ]
    return [replace(word, end=max(word.start, min(word.end, after.start))) for word, after in pairwise(words)] + words[
        -1:
    ]


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
