"""Which logits may win, and which token each one stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mctc.decode.stepper import DecodeError, Floats

PADDING = -1


@dataclass(frozen=True)
class Vocabulary:
    """The token of each logit: `tokens[i]` for logit i, or `PADDING` where the logit was added and stands for none.

    Logits beyond the end of `tokens` are padding too.
    """

    tokens: tuple[int, ...]
    _open: NDArray[np.intp] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        real = [token for token in self.tokens if token != PADDING]
        if not real:
            raise ValueError("a vocabulary needs at least one token")
        if min(real) < 0 or len(set(real)) != len(real):
            raise ValueError(f"a vocabulary's tokens must be distinct and not negative ({PADDING} marks padding)")
        object.__setattr__(self, "_open", np.flatnonzero(np.asarray(self.tokens) != PADDING))

    @classmethod
    def first(cls, valid: int) -> Vocabulary:
        """Logits 0 ... valid - 1 are the tokens of the same number; all others are padding."""
        return cls(tuple(range(valid)))

    @classmethod
    def mapped(cls, tokens: Iterable[int]) -> Vocabulary:
        """The token of each logit in order, `PADDING` (-1) for none."""
        return cls(tuple(int(token) for token in tokens))

    def best(self, logits: Floats) -> NDArray[np.int64]:
        """The most likely token [frames] of logits [frames, vocabulary]; of equal ones the first logit's.

        Padding can't win, whatever its logit. Raises `DecodeError` for NaN among the tokens' logits and for fewer
        logits than tokens.
        """
        if logits.ndim != 2 or logits.shape[1] <= self._open[-1]:
            raise DecodeError(
                f"the joiner returned logits of shape {logits.shape}, "
                f"not [frames, {len(self.tokens)} or more] as the vocabulary needs"
            )
        open_logits = logits[:, self._open]
        wrong = np.isnan(open_logits).any(axis=1)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise DecodeError(f"the joiner returned NaN for frame {first} of the frames given to it")
        tokens = np.asarray(self.tokens, np.int64)[self._open]
        return np.asarray(tokens[open_logits.argmax(axis=1)])
