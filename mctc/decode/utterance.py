"""The utterance that a beam search is in: labels that no later frame can change, and the hypotheses for the rest."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.decode.histories import Emitted, History, HistoryEntry, forget, shared
from mctc.decode.hypothesis import Hypothesis, Partial


class Utterance:
    """Every later hypothesis continues one of now. So what all of now begin with is final."""

    def __init__(self, root: History, begun: int) -> None:
        self.base, self.begun = root, begun
        self._ids: list[int] = []
        self._emitted: list[Emitted] = []

    def settle(self, entries: Sequence[HistoryEntry]) -> list[HistoryEntry]:
        """Makes final what all entries begin with; returns them with what is left of their traces.

        The best entry's alignment says where the labels were emitted.
        """
        base = shared(entry.history for entry in entries)
        found = base.labels_behind(self.base)
        best = max(entries, key=lambda entry: entry.total)
        self._ids += found
        self._emitted += self._in_order(best.trace[: len(found)])
        forget(self.base, base, (entry.history for entry in entries))
        self.base = base
        return [entry._replace(trace=entry.trace[len(found) :]) for entry in entries]

    def partial(self, entries: Sequence[HistoryEntry], frames: int) -> Partial:
        best = max(entries, key=lambda entry: entry.total)
        return Partial(self._hypothesis(best, best.total), len(self._ids), frames, self.begun)

    def best(self, entries: Sequence[HistoryEntry], ends: Sequence[float], count: int) -> tuple[Hypothesis, ...]:
        """The `count` best hypotheses, with what the scorers add for the end of each."""
        scored = sorted(zip(entries, ends, strict=True), key=lambda pair: -(pair[0].total + pair[1]))
        return tuple(self._hypothesis(entry, entry.total + end) for entry, end in scored[:count])

    def _hypothesis(self, entry: HistoryEntry, score: float) -> Hypothesis:
        emitted = [*self._emitted, *self._in_order(entry.trace)]
        ids = (*self._ids, *entry.history.labels_behind(self.base))
        return Hypothesis(ids, score, tuple(e.frame for e in emitted), tuple(e.confidence for e in emitted))

    def _in_order(self, trace: Sequence[Emitted]) -> list[Emitted]:
        """A trace that another one's labels were made final before: no frame lies before theirs."""
        least = self._emitted[-1].frame if self._emitted else 0
        return [each._replace(frame=max(each.frame, least)) for each in trace]
