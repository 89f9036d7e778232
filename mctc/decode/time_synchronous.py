"""Time-synchronous beam search of a transducer (Saon et al. 2020, section 3.1), with or without durations.

At each frame every hypothesis of the beam may emit up to `max_symbols` labels before it goes on. Hypotheses that went
on to the same frame with the same labels are one: their probabilities are added. So the score of a label sequence is
the logarithm of the sum over its alignments with that many labels a frame; with an endless beam it is exact.

What a token does to time is data: in a plain transducer a blank goes on by one frame, a label by none. In a
token-and-duration transducer (Xu et al. 2023) a label may go on by each of the durations, a blank by each but 0, and
the probabilities of token and duration multiply. A hypothesis may then wait for a frame that was not heard yet; at the
end of the utterance those that jumped beyond it are as good as those that stopped at it.

Since no probability is above 1, a hypothesis that is already worse than the whole beam of the frames ahead is not
extended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mctc.decode.engine import TransducerEngine
from mctc.decode.frames import Floats, blocks
from mctc.decode.fusion import Fusion, Scorer
from mctc.decode.histories import Emitted, History, HistoryEntry
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.joined import Joined
from mctc.decode.pruning import highest, merged, none_left, within
from mctc.decode.settings import Settings
from mctc.decode.utterance import Utterance
from mctc.decode.vocabulary import Vocabulary

Waiting = dict[History, HistoryEntry]  # the hypotheses of a frame


class TimeSynchronousBeam:
    """A Search (mctc.decode.search)."""

    def __init__(
        self, engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings, scorers: Sequence[Scorer] = ()
    ) -> None:
        self.settings, self.frames, self.labels = settings, 0, vocabulary.size
        self._joined = Joined(engine, vocabulary, settings)
        self._fusion = Fusion(scorers, vocabulary.size, settings.blank)
        self._begin()

    def _begin(self) -> None:
        root = self._fusion.root()
        self._utterance = Utterance(root, self.frames)
        self._waiting: dict[int, Waiting] = {self.frames: {root: HistoryEntry(root, 0.0)}}

    def accept(self, encoded: Floats) -> Partial:
        for block in blocks(encoded, self._joined.engine.frames):
            self._joined.hear(block)
            for frame in range(len(block)):
                self._frame(frame)
                if not any(self._waiting.values()):
                    raise none_left(self.frames)
                self.frames += 1
        self._settle()
        return self._utterance.partial(list(self._entries()), self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        together: Waiting = {}
        for entry in self._entries():
            merged(together, entry)
        entries = list(together.values())
        ends = self._fusion.ends([entry.history for entry in entries])
        found = self._utterance.best(entries, ends, self.settings.n_best)
        self._begin()
        return found

    def _entries(self) -> Iterable[HistoryEntry]:
        return (entry for waiting in self._waiting.values() for entry in waiting.values())

    def _settle(self) -> None:
        places = [(at, entry) for at, waiting in self._waiting.items() for entry in waiting.values()]
        settled = self._utterance.settle([entry for _, entry in places])
        self._waiting = {}
        for (at, _), entry in zip(places, settled, strict=True):
            self._waiting.setdefault(at, {})[entry.history] = entry

    def _frame(self, frame: int) -> None:
        """Takes the hypotheses that wait for a frame of the block on to later ones."""
        entries = within(self._waiting.pop(self.frames, {}).values(), self.settings)
        for emitted in range(self.settings.max_symbols + 1):
            if not entries:
                break
            entries = self._expand(entries, frame, last=emitted == self.settings.max_symbols)
        ahead = self.frames + 1
        if ahead in self._waiting:
            kept = within(self._waiting[ahead].values(), self.settings)
            self._waiting[ahead] = {entry.history: entry for entry in kept}

    def _expand(self, entries: list[HistoryEntry], frame: int, last: bool) -> list[HistoryEntry]:
        """Every entry goes on with a blank or, unless it is the last time at this frame, a label; those that are still
        at the frame."""
        histories = [entry.history for entry in entries]
        told = self._joined.scores(histories, frame)
        tokens, durations = told[:, : self.labels], told[:, self.labels :]
        before = np.array([entry.score for entry in entries])
        blank = self.settings.blank
        for duration, odds in self._durations(durations, of_blank=True):
            for entry, score in zip(entries, (before + tokens[:, blank] + odds).tolist(), strict=True):
                if score > -math.inf:
                    self._wait(duration, HistoryEntry(entry.history, score, entry.trace))
        still: list[HistoryEntry] = []
        if last:
            return still
        for duration, odds in self._durations(durations, of_blank=False):
            scores = tokens + (before + odds)[:, None]
            scores[:, blank] = -np.inf
            totals = self._fusion.totals(histories, scores)
            for at, label in highest(totals, self.settings.beam, self._least(float(totals.max()))):
                emitted = Emitted(self.frames, math.exp(tokens[at, label]))
                trace = (*entries[at].trace, emitted)
                entry = HistoryEntry(histories[at].extended(label), float(scores[at, label]), trace)
                if duration:
                    self._wait(duration, entry)
                else:
                    still.append(entry)
        return still

    def _durations(self, scores: Floats, of_blank: bool) -> list[tuple[int, Floats | float]]:
        """How many frames a token may go on, and the log-probability of that for each hypothesis."""
        if not self.settings.durations:
            return [(int(of_blank), 0.0)]
        pairs = zip(self.settings.durations, scores.T, strict=True)
        return [(duration, odds) for duration, odds in pairs if duration or not of_blank]

    def _wait(self, duration: int, entry: HistoryEntry) -> None:
        merged(self._waiting.setdefault(self.frames + duration, {}), entry)

    def _least(self, best: float) -> float:
        """The total below which nothing can get into the next frame's beam, where `best` will be extended."""
        totals = [entry.total for entry in self._waiting.get(self.frames + 1, {}).values()]
        totals.sort(reverse=True)
        beam = self.settings.beam
        worst = totals[beam - 1] if len(totals) >= beam else -math.inf
        return max(worst, max([best, *totals[:1]]) - self.settings.window)
