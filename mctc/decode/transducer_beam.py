"""Modified beam search of a transducer: at each frame a hypothesis emits one label or the blank, and goes on.

The score of a label sequence is the logarithm of the sum over its alignments of that kind: where two alignments of a
beam lead to the same sequence, their probabilities are added. With an endless beam it is exact. (The search of icefall
and sherpa; one label a frame bounds the work and loses nothing at encoder frames of 40 ms.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import TransducerEngine
from mctc.decode.frames import Floats, blocks
from mctc.decode.fusion import Fusion, Scorer
from mctc.decode.histories import Emitted, HistoryEntry
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.joined import Joined
from mctc.decode.pruning import highest, none_left
from mctc.decode.settings import Settings
from mctc.decode.utterance import Utterance
from mctc.decode.vocabulary import Vocabulary


class TransducerBeam:
    """A Search (mctc.decode.search)."""

    def __init__(
        self, engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings, scorers: Sequence[Scorer] = ()
    ) -> None:
        self.settings, self.frames = settings, 0
        self._joined = Joined(engine, vocabulary, settings)
        self._fusion = Fusion(scorers, vocabulary.size, settings.blank)
        self._begin()

    def _begin(self) -> None:
        root = self._fusion.root()
        self._utterance, self._entries = Utterance(root, self.frames), [HistoryEntry(root, 0.0)]

    def accept(self, encoded: Floats) -> Partial:
        for block in blocks(encoded, self._joined.engine.frames):
            self._joined.hear(block)
            for frame in range(len(block)):
                self._entries = self._frame(frame)
                if not self._entries:
                    raise none_left(self.frames)
                self.frames += 1
        self._entries = self._utterance.settle(self._entries)
        return self._utterance.partial(self._entries, self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        ends = self._fusion.ends([entry.history for entry in self._entries])
        found = self._utterance.best(self._entries, ends, self.settings.n_best)
        self._begin()
        return found

    def _frame(self, frame: int) -> list[HistoryEntry]:
        """The best entries after one more frame of the block."""
        entries, blank = self._entries, self.settings.blank
        histories = [entry.history for entry in entries]
        label_scores = self._joined.scores(histories, frame)
        scores = label_scores + np.array([entry.score for entry in entries])[:, None]
        traces = [entry.trace for entry in entries]
        places = {history: at for at, history in enumerate(histories)}
        for at, history in enumerate(histories):
            before = places.get(history.before) if history.before is not None else None
            if before is None:
                continue
            other = scores[before, history.label]  # the same sequence, its last label emitted now
            if other > scores[at, blank]:
                emitted = Emitted(self.frames, math.exp(label_scores[before, history.label]))
                traces[at] = (*entries[before].trace, emitted)
            scores[at, blank] = np.logaddexp(scores[at, blank], other)
            scores[before, history.label] = -np.inf
        totals = self._fusion.totals(histories, scores)
        found = []
        for at, label in highest(totals, self.settings.beam, float(totals.max()) - self.settings.window):
            if label == blank:
                found.append(HistoryEntry(histories[at], float(scores[at, blank]), traces[at]))
            else:
                emitted = Emitted(self.frames, math.exp(label_scores[at, label]))
                trace = (*entries[at].trace, emitted)
                found.append(HistoryEntry(histories[at].extended(label), float(scores[at, label]), trace))
        return found
