"""What knows nothing of the sound adds to a score: language models, hotwords (Gulcehre et al. 2015, shallow fusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.decode.histories import ROOT, History


class Scorer(Protocol):
    """Scores label sequences, many at once. A state is its own, never changed; scores are natural logarithms with the
    scorer's weight in them, and what a label adds depends on the labels before it alone."""

    def start(self) -> State:
        """The state before the first label."""

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        """The states after one more label each."""

    def scores(self, states: Sequence[State]) -> Floats:
        """What each label [N, labels] would add, any finite number or -inf."""

    def ends(self, states: Sequence[State]) -> Floats:
        """What the end of the utterance [N] would add."""


class Fusion:
    """Scorers over the histories of a search with labels 0 ... size - 1. A blank adds nothing."""

    def __init__(self, scorers: Sequence[Scorer], size: int, blank: int | None) -> None:
        self.scorers, self.size, self.blank = tuple(scorers), size, blank

    def root(self) -> History:
        return History(fusion=tuple(scorer.start() for scorer in self.scorers))

    def totals(self, histories: Sequence[History], scores: Floats) -> Floats:
        """Scores [N, size] of each label behind each history, with what is fused."""
        if not self.scorers:
            return scores
        return np.asarray(scores + self.adds(histories) + np.array([each.fused for each in histories])[:, None])

    def adds(self, histories: Sequence[History]) -> Floats:
        """What each label adds behind each history, [N, size]."""
        if not self.scorers:
            return np.zeros((len(histories), self.size))
        self._advance([history for history in histories if history.adds is None])
        return np.stack([history.adds for history in histories if history.adds is not None])

    def ends(self, histories: Sequence[History]) -> list[float]:
        """What the end adds behind each history."""
        self.adds(histories)
        found = np.zeros(len(histories))
        for scorer, states in zip(self.scorers, zip(*(history.fusion for history in histories))):
            found += scorer.ends(states)
        return [float(each) for each in found]

    def _advance(self, histories: Sequence[History]) -> None:
        if not histories:
            return
        adds = np.zeros((len(histories), self.size))
        after: list[list[State]] = []
        going = [at for at, history in enumerate(histories) if history.label != ROOT]
        for number, scorer in enumerate(self.scorers):
            states = [history.fusion[number] for history in histories]
            moved = scorer.advance([histories[at].label for at in going], [states[at] for at in going])
            for at, state in zip(going, moved, strict=True):
                states[at] = state
            after.append(states)
            adds += scorer.scores(states)[:, : self.size]
        if self.blank is not None:
            adds[:, self.blank] = 0.0
        for history, row, fusion in zip(histories, adds, zip(*after)):
            history.adds, history.fusion = row, tuple(fusion)
