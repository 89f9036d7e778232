"""Greedy CTC search (Graves et al. 2006, section 3.2: best path decoding)."""

from __future__ import annotations

import numpy as np

from mctc.decode.frames import Floats, checked_frames
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary


class CtcGreedy:
    """A Search over logits or log-probabilities [frames, vocabulary]: of each frame its best label, of equal ones in a
    row the first, without blanks. All of its hypothesis is final. Its score is that of the best path."""

    def __init__(self, vocabulary: Vocabulary, settings: Settings) -> None:
        self.vocabulary, self.settings = vocabulary, settings
        vocabulary.require(settings.blank)
        self.frames = 0
        self._begin()

    def _begin(self) -> None:
        self._begun, self._last, self._score = self.frames, self.settings.blank, 0.0
        self._ids: list[int] = []
        self._frames: list[int] = []
        self._confidences: list[float] = []

    def accept(self, encoded: Floats) -> Partial:
        blank = self.settings.blank
        if len(checked_frames(encoded)):
            scores = self.vocabulary.log_probabilities(encoded, blank, self.settings.blank_penalty)
            best = scores.argmax(axis=1)
            before = np.concatenate([[self._last], best[:-1]])
            emitted = np.flatnonzero((best != before) & (best != blank))
            self._ids += best[emitted].tolist()
            self._frames += (emitted + self.frames).tolist()
            self._confidences += np.exp(scores[emitted, best[emitted]]).tolist()
            self._score += float(scores.max(axis=1).sum())
            self._last = int(best[-1])
        self.frames += len(encoded)
        return Partial(self._found(), len(self._ids), self.frames, self._begun)

    def finish(self) -> tuple[Hypothesis, ...]:
        found = self._found()
        self._begin()
        return (found,)

    def _found(self) -> Hypothesis:
        return Hypothesis(tuple(self._ids), self._score, tuple(self._frames), tuple(self._confidences))
