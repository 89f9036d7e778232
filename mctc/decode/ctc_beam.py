"""Prefix beam search of CTC (Hannun et al. 2014): the score of a label sequence sums over its alignments.

A hypothesis carries the probability of its alignments that end in a blank and of those that end in its last label
apart, since only behind a blank is the same label a new one. With an endless beam the score is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mctc.decode.frames import Floats, blocks
from mctc.decode.fusion import Fusion, Scorer
from mctc.decode.histories import ROOT, Emitted, HistoryEntry
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.pruning import highest, none_left
from mctc.decode.settings import Settings
from mctc.decode.utterance import Utterance
from mctc.decode.vocabulary import Vocabulary

FRAMES = 64  # that are normalised at once


class CtcBeam:
    """A Search (mctc.decode.search) over logits or log-probabilities [frames, vocabulary]."""

    def __init__(self, vocabulary: Vocabulary, settings: Settings, scorers: Sequence[Scorer] = ()) -> None:
        vocabulary.require(settings.blank)
        self.vocabulary, self.settings, self.frames = vocabulary, settings, 0
        self._fusion = Fusion(scorers, vocabulary.size, settings.blank)
        self._begin()

    def _begin(self) -> None:
        root = self._fusion.root()
        self._utterance, self._entries = Utterance(root, self.frames), [HistoryEntry(root, 0.0)]
        self._blank, self._label = np.zeros(1), np.full(1, -np.inf)  # log-probability by what the alignment ends in

    def accept(self, encoded: Floats) -> Partial:
        for block in blocks(encoded, FRAMES):
            for scores in self.vocabulary.log_probabilities(block, self.settings.blank, self.settings.blank_penalty):
                self._frame(scores)
                self.frames += 1
        self._entries = self._utterance.settle(self._entries)
        return self._utterance.partial(self._entries, self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        ends = self._fusion.ends([entry.history for entry in self._entries])
        found = self._utterance.best(self._entries, ends, self.settings.n_best)
        self._begin()
        return found

    def _frame(self, scores: Floats) -> None:
        """One more frame of log-probabilities [labels]."""
        entries, blank = self._entries, self.settings.blank
        histories = [entry.history for entry in entries]
        last = np.array([history.label for history in histories])
        spoken = np.flatnonzero(last != ROOT)
        total = np.array([entry.score for entry in entries])
        longer = total[:, None] + scores
        longer[spoken, last[spoken]] = self._blank[spoken] + scores[last[spoken]]
        longer[:, blank] = -np.inf
        in_blank, in_label = total + scores[blank], np.full(len(entries), -np.inf)
        in_label[spoken] = self._label[spoken] + scores[last[spoken]]
        traces = self._merge(longer, in_blank, in_label, scores)
        stays = np.logaddexp(in_blank, in_label)
        longer[:, blank] = stays
        totals = self._fusion.totals(histories, longer)
        found, ends = [], []
        for at, label in highest(totals, self.settings.beam, float(totals.max()) - self.settings.window):
            if label == blank:
                found.append(HistoryEntry(histories[at], float(stays[at]), traces[at]))
                ends.append((in_blank[at], in_label[at]))
            else:
                trace = (*entries[at].trace, self._emitted(scores, label))
                found.append(HistoryEntry(histories[at].extended(label), float(longer[at, label]), trace))
                ends.append((-np.inf, longer[at, label]))
        if not found:
            raise none_left(self.frames)
        self._entries = found
        self._blank, self._label = np.array(ends).T

    def _merge(self, longer: Floats, in_blank: Floats, in_label: Floats, scores: Floats) -> list[tuple[Emitted, ...]]:
        """Moves to each entry what becomes the same sequence by one label more; the traces of the better."""
        places = {entry.history: at for at, entry in enumerate(self._entries)}
        traces = [entry.trace for entry in self._entries]
        for history, at in places.items():
            before = places.get(history.before) if history.before is not None else None
            if before is None:
                continue
            other = longer[before, history.label]
            if other > np.logaddexp(in_blank[at], in_label[at]):
                traces[at] = (*self._entries[before].trace, self._emitted(scores, history.label))
            in_label[at] = np.logaddexp(in_label[at], other)
            longer[before, history.label] = -np.inf
        return traces

    def _emitted(self, scores: Floats, label: int) -> Emitted:
        return Emitted(self.frames, math.exp(scores[label]))
