"""What a search for labels must not say next: rules over the labels so far.

The rules of times are those of Whisper (Radford et al. 2022, section 2.3, and the code published with it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mctc.decode.frames import Floats
from mctc.records import dataclass


class LabelRule(Protocol):
    """Takes out of the running what can't follow."""

    def __call__(self, labels: Sequence[int], scores: Floats) -> None:
        """Sets entries of log-probabilities [size], of what follows `labels`, to -inf."""


@dataclass(frozen=True)
class LeftOut:
    """Labels that are never said, or, with `first`, never as the first."""

    labels: tuple[int, ...]
    first: bool = False

    def __call__(self, labels: Sequence[int], scores: Floats) -> None:
        if not self.first or not labels:
            scores[list(self.labels)] = -np.inf


@dataclass(frozen=True)
class Times:
    """Text between times: labels from `zero` on are the times, in order; the label `end` closes the text.

    A text begins with a time of at most `latest` steps. Two times stand side by side, the end of a part and the start
    of the next, or one before the end of all. They never decrease, and a part takes at least a step. Where all times
    together are likelier than any other label, one of them follows. `without`: a label that would say that no times
    follow.
    """

    zero: int
    end: int
    latest: int = 50
    without: int | None = None

    def __call__(self, labels: Sequence[int], scores: Floats) -> None:
        if self.without is not None:
            scores[self.without] = -np.inf
        last = bool(labels) and labels[-1] >= self.zero
        before = len(labels) < 2 or labels[-2] >= self.zero
        if last and before:
            scores[self.zero :] = -np.inf
        elif last:
            scores[: self.end] = -np.inf
        latest = next((label for label in reversed(labels) if label >= self.zero), None)
        if latest is not None:
            scores[self.zero : latest if last and not before else latest + 1] = -np.inf
        if not labels:
            scores[: self.zero] = -np.inf
            scores[self.zero + self.latest + 1 :] = -np.inf
        if np.logaddexp.reduce(scores[self.zero :]) > scores[: self.zero].max(initial=-np.inf):
            scores[: self.zero] = -np.inf
