"""Greedy search with an attention decoder: the best token after those so far, until the end token or enough of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from mctc.decode.stepper import Floats
from mctc.decode.vocabulary import Vocabulary


class LabelStepper(Protocol):
    """A decoder that holds what it has heard and the tokens so far."""

    def take(self, tokens: Sequence[int]) -> Floats:
        """Logits [vocabulary] of the token that follows, after these more tokens (at least one)."""


def greedy_labels(
    stepper: LabelStepper, vocabulary: Vocabulary, start: Sequence[int], end: int, longest: int
) -> Iterator[int]:
    """The tokens behind `start`, at most `longest`, without the `end` token that closes them.

    Raises DecodeError for logits that are not finite or too few, ValueError without a start token.
    """
    if not start:
        raise ValueError("a decoder needs a token to start from")
    given = list(start)
    for _ in range(longest):
        token = int(vocabulary.best(stepper.take(given)[None])[0])
        if token == end:
            return
        yield token
        given = [token]
