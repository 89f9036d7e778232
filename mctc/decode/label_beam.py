"""Beam search over labels with an attention decoder (Graves 2012 without alignments; Sutskever et al. 2014).

A hypothesis grows by a label at a time until its end token. Finished ones of different lengths are compared by score
over ((5 + labels) / 6) ** length_penalty (Wu et al. 2016, equation 14). A beam of one without a penalty is greedy
search.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import nlargest

import numpy as np

from mctc.decode.engine import LabelEngine, State
from mctc.decode.frames import Floats
from mctc.decode.fusion import Fusion, Scorer
from mctc.decode.histories import Emitted, History, HistoryEntry
from mctc.decode.hypothesis import Hypothesis
from mctc.decode.label_rules import LabelRule
from mctc.decode.pruning import highest, none_left
from mctc.decode.vocabulary import Vocabulary
from mctc.records import dataclass


@dataclass(frozen=True)
class LabelSettings:
    """prompt: labels that decoding starts from. end: the label that closes an utterance, if any. longest: most labels.

    ends: others that close one as well. beam: hypotheses that are kept. n_best: that are returned at most.
    length_penalty: 0 compares scores as they are; more favours longer hypotheses. rules: what must not follow. Raises
    ValueError naming the field that can't be.
    """

    prompt: tuple[int, ...]
    end: int | None
    longest: int
    beam: int = 4
    n_best: int = 1
    length_penalty: float = 0.0
    rules: tuple[LabelRule, ...] = ()
    ends: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("a decoder needs a token to start from")
        for name in ("longest", "beam", "n_best"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    def penalised(self, score: float, labels: int) -> float:
        """What hypotheses are compared by."""
        return float(score / ((5 + labels) / 6) ** self.length_penalty)


def label_beam(
    engine: LabelEngine, vocabulary: Vocabulary, settings: LabelSettings, scorers: Sequence[Scorer] = ()
) -> tuple[Hypothesis, ...]:
    """The best hypotheses of what the engine has heard, the best first, without prompt and end token.

    Their scores are penalised; they have no frames. Ends where no hypothesis can get better than those that are
    finished, or all are as long as may be. Raises DecodeError for logits that are NaN or too few.
    """
    return _Labels(engine, vocabulary, settings, scorers).run()


class _Labels:
    """One run of the search."""

    def __init__(
        self, engine: LabelEngine, vocabulary: Vocabulary, settings: LabelSettings, scorers: Sequence[Scorer]
    ) -> None:
        for end in (*(() if settings.end is None else (settings.end,)), *settings.ends):
            vocabulary.require(end)
        self.engine, self.vocabulary, self.settings = engine, vocabulary, settings
        self._fusion = Fusion(scorers, vocabulary.size, settings.end)  # the end token's score comes from `ends`
        self._finished: list[tuple[float, HistoryEntry]] = []

    def run(self) -> tuple[Hypothesis, ...]:
        root = self._fusion.root()
        logits, state = self.engine.start(self.settings.prompt)
        entries, states = [HistoryEntry(root, 0.0)], [state]
        scores = self._allowed(entries, logits[None], root)
        for length in range(1, self.settings.longest + 1):
            entries, states = self._grown(entries, states, scores)
            if length == self.settings.longest:
                self._finish(entries, self._fusion.ends([entry.history for entry in entries]) if entries else [])
            if not entries or length == self.settings.longest or self._settled(entries):
                break
            logits, states = self.engine.predict([entry.history.label for entry in entries], states)
            scores = self._allowed(entries, logits, root)
        if not self._finished:
            raise none_left(0)
        best = nlargest(self.settings.n_best, self._finished, key=lambda pair: pair[0])
        return tuple(_hypothesis(entry, score, root) for score, entry in best)

    def _allowed(self, entries: Sequence[HistoryEntry], logits: Floats, root: History) -> Floats:
        """Log-probabilities [entries, size], of what the rules forbid -inf."""
        scores = self.vocabulary.log_probabilities(logits)
        for rule in self.settings.rules:
            for entry, row in zip(entries, scores, strict=True):
                rule(entry.history.labels_behind(root), row)
        return scores

    def _grown(
        self, entries: list[HistoryEntry], states: list[State], scores: Floats
    ) -> tuple[list[HistoryEntry], list[State]]:
        """The best entries with one label more; those that are closed now are finished."""
        histories, end = [entry.history for entry in entries], self.settings.end
        longer = scores + np.array([entry.score for entry in entries])[:, None]
        ends = np.array(self._fusion.ends(histories))
        totals = self._fusion.totals(histories, longer.copy())
        if end is not None:
            totals[:, end] += ends
        grown, after = [], []
        for at, label in highest(totals, self.settings.beam):
            score = float(longer[at, label])
            if label == end or label in self.settings.ends:
                self._finish([entries[at]._replace(score=score)], [float(ends[at])])
                continue
            trace = (*entries[at].trace, Emitted(0, math.exp(scores[at, label])))
            grown.append(HistoryEntry(histories[at].extended(label), score, trace))
            after.append(states[at])
        return grown, after

    def _finish(self, entries: Sequence[HistoryEntry], ends: Sequence[float]) -> None:
        for entry, end in zip(entries, ends, strict=True):
            self._finished.append((self.settings.penalised(entry.total + end, entry.history.length), entry))

    def _settled(self, entries: Sequence[HistoryEntry]) -> bool:
        """Whether enough are finished and no other can get better: log-probabilities only lower a score. What scorers
        may add is not known, so with them it is a guess."""
        if len(self._finished) < max(self.settings.beam, self.settings.n_best):
            return False
        worst = nlargest(self.settings.n_best, (score for score, _ in self._finished))[-1]
        best, longest = max(entry.total for entry in entries), self.settings.longest
        lengths = (entries[0].history.length, longest)
        return max(self.settings.penalised(best, length) for length in lengths) <= worst


def _hypothesis(entry: HistoryEntry, score: float, root: History) -> Hypothesis:
    return Hypothesis(tuple(entry.history.labels_behind(root)), score, (), tuple(e.confidence for e in entry.trace))
