"""Greedy CTC search (Graves et al. 2006, section 3.2: best path decoding)."""

from __future__ import annotations

import numpy as np

from mctc.decode.alignment import Alignment
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
        self._alignment, self._last = Alignment(self.frames), self.settings.blank

    def accept(self, encoded: Floats) -> Partial:
        blank = self.settings.blank
        if len(checked_frames(encoded)):
            scores = self.vocabulary.log_probabilities(encoded, blank, self.settings.blank_penalty)
            best = scores.argmax(axis=1)
            before = np.concatenate([[self._last], best[:-1]])
            emitted = np.flatnonzero((best != before) & (best != blank))
            for frame, confidence in zip(emitted.tolist(), np.exp(scores[emitted, best[emitted]]).tolist()):
                self._alignment.emit(int(best[frame]), self.frames + frame, confidence)
            self._alignment.score += float(scores.max(axis=1).sum())
            self._last = int(best[-1])
        self.frames += len(encoded)
        return self._alignment.partial(self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        found = self._alignment.hypothesis()
        self._begin()
        return (found,)
