"""Which logits may win, and which token each one stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from mctc.decode.frames import DecodeError, Floats
from mctc.records import dataclass

PADDING = -1


@dataclass(frozen=True)
class Vocabulary:
    """The token of each logit: `tokens[i]` for logit i, or `PADDING` where the logit was added and stands for none.

    Logits beyond the end of `tokens` are padding too.
    """

    tokens: tuple[int, ...]
    _open: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    _in_order: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        real = [token for token in self.tokens if token != PADDING]
        if not real:
            raise ValueError("a vocabulary needs at least one token")
        if min(real) < 0 or len(set(real)) != len(real):
            raise ValueError(f"a vocabulary's tokens must be distinct and not negative ({PADDING} marks padding)")
        object.__setattr__(self, "_open", np.flatnonzero(np.asarray(self.tokens) != PADDING))
        object.__setattr__(self, "_in_order", self.tokens == tuple(range(len(self.tokens))))

    @classmethod
    def first(cls, valid: int) -> Vocabulary:
        """Logits 0 ... valid - 1 are the tokens of the same number; all others are padding."""
        return cls(tuple(range(valid)))

    @classmethod
    def mapped(cls, tokens: Iterable[int]) -> Vocabulary:
        """The token of each logit in order, `PADDING` (-1) for none."""
        return cls(tuple(int(token) for token in tokens))

    @property
    def size(self) -> int:
        """The largest token and one."""
        return len(self.tokens) if self._in_order else max(self.tokens) + 1

    def require(self, label: int) -> None:
        """Raises ValueError for a blank, a start or an end that is none of the tokens."""
        if label < 0 or label not in self.tokens:
            raise ValueError(f"{label} is not a token of the vocabulary")

    def log_probabilities(self, logits: Floats, blank: int = 0, penalty: float = 0.0) -> Floats:
        """Natural logarithms of the tokens' probabilities [..., size] of logits [..., vocabulary], in float64.

        `penalty` is taken off the blank's logit. Padding takes no part; a token that no logit stands for has -inf.
        Raises DecodeError for NaN or infinity among the tokens' logits, for a row of -inf alone, and for fewer logits
        than tokens.
        """
        if logits.ndim < 1 or logits.shape[-1] <= self._open[-1]:
            least = f"[..., {self._open[-1] + 1} or more]"
            raise DecodeError(f"logits have shape {list(logits.shape)}, not {least} as the vocabulary needs")
        scores = self._by_token(logits)
        if penalty:
            scores[..., blank] -= penalty
        highest = scores.max(axis=-1, keepdims=True)
        if not np.isfinite(highest).all():
            *place, _ = np.argwhere(~np.isfinite(highest))[0].tolist()
            told = f"the highest logit is {highest[tuple(place)][0]:f}"
            raise DecodeError(f"{told}, at place {place} of those given to the search")
        scores -= highest
        scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        return scores

    def _by_token(self, logits: Floats) -> Floats:
        """Logits [..., size], in float64, as an array of its own; -inf for a number that no logit stands for."""
        if self._in_order:
            return np.array(logits[..., : self.size], np.float64)
        scores = np.full((*logits.shape[:-1], self.size), -np.inf)
        scores[..., np.asarray(self.tokens)[self._open]] = logits[..., self._open]
        return scores


def log_softmax(scores: Floats) -> Floats:
    """Along the last axis: x - log(sum of exp x), computed without overflow."""
    above = scores - scores.max(axis=-1, keepdims=True)
    return np.asarray(above - np.log(np.exp(above).sum(axis=-1, keepdims=True)))
