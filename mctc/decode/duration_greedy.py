"""Greedy search of a token-and-duration transducer (Xu et al. 2023, algorithm 2).

At a frame the best token and, apart from it, the best duration are taken; the search goes on by so many frames. A blank
goes on by one at least; after `max_symbols` labels at a frame the search goes on by one, too.
"""

from __future__ import annotations

import math

from mctc.decode.alignment import Alignment
from mctc.decode.engine import TransducerEngine
from mctc.decode.frames import Floats, blocks
from mctc.decode.histories import History
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.joined import Joined
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary


class DurationGreedy:
    """A Search (mctc.decode.search); all of its hypothesis is final. Its score is that of the alignment it follows."""

    def __init__(self, engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings) -> None:
        self.settings, self.labels, self.frames = settings, vocabulary.size, 0
        self._joined = Joined(engine, vocabulary, settings)
        self._begin()

    def _begin(self) -> None:
        self._alignment, self._next = Alignment(self.frames), self.frames  # the frame that is looked at next
        self._history, self._symbols = History(), 0

    def accept(self, encoded: Floats) -> Partial:
        for block in blocks(encoded, self._joined.engine.frames):
            self._joined.hear(block)
            end = self.frames + len(block)
            while self._next < end:
                self._look(self._joined.scores([self._history], self._next - self.frames)[0])
            self.frames = end
        return self._alignment.partial(self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        found = self._alignment.hypothesis()
        self._begin()
        return (found,)

    def _look(self, scores: Floats) -> None:
        """Takes a token and a duration at the next frame, of their log-probabilities [labels + durations]."""
        tokens, durations = scores[: self.labels], scores[self.labels :]
        token, span = int(tokens.argmax()), int(durations.argmax())
        goes_on = self.settings.durations[span]
        self._alignment.score += float(tokens[token] + durations[span])
        if token == self.settings.blank:
            goes_on = max(1, goes_on)
        else:
            self._alignment.emit(token, self._next, math.exp(tokens[token]))
            self._history, before = self._history.extended(token), self._history
            before.after, self._history.before = {}, None
            self._symbols += 1
            if self._symbols == self.settings.max_symbols:
                goes_on = max(1, goes_on)
        if goes_on:
            self._next, self._symbols = self._next + goes_on, 0
