"""Greedy transducer search (Graves 2012, section 2.5, with a beam of one).

The definition, one frame at a time: join the frame with the predictor's vector; while the best label isn't blank and
fewer than `max_symbols` were emitted at this frame, emit it, step the predictor with it and join again; then go to the
next frame. A blank never steps the predictor.

Since the predictor's vector changes only when a label is emitted, one call of the joiner can look at many frames. The
first frame whose best label isn't blank is where the definition would have emitted; the frames before it are done. So
the number of calls is about labels plus chunks, not frames, which matters where each call has a fixed cost.
"""

from __future__ import annotations

import math

import numpy as np

from mctc.decode.alignment import Alignment
from mctc.decode.engine import State, TransducerEngine
from mctc.decode.frames import Floats, checked_frames
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary


class TransducerGreedy:
    """A Search; its hypothesis grows and never changes, so all of it is final.

    A hypothesis' score is that of the one alignment that was followed.
    """

    def __init__(self, engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings) -> None:
        self.engine, self.vocabulary, self.settings = engine, vocabulary, settings
        vocabulary.require(settings.blank)
        self.frames = 0
        self._begin()

    def _begin(self) -> None:
        self._alignment = Alignment(self.frames)
        self._predicted: Floats | None = None
        self._state: State = None

    def accept(self, encoded: Floats) -> Partial:
        encoded = checked_frames(encoded)
        if self._predicted is None:
            self._state = self.engine.start()
            self._step(self.settings.blank)
        at = symbols = 0
        while at < len(encoded):
            scores = self._joined(encoded[at : at + self.engine.frames])
            best = scores.argmax(axis=1)
            spoken = np.flatnonzero(best != self.settings.blank)
            skipped = int(spoken[0]) if spoken.size else len(best)
            self._alignment.score += float(scores[:skipped, self.settings.blank].sum())
            at, symbols = at + skipped, 0 if skipped else symbols
            if not spoken.size:
                continue
            self._emit(int(best[skipped]), float(scores[skipped, best[skipped]]), self.frames + at)
            symbols += 1
            if symbols == self.settings.max_symbols:
                at, symbols = at + 1, 0
        self.frames += len(encoded)
        return self._alignment.partial(self.frames)

    def finish(self) -> tuple[Hypothesis, ...]:
        found = self._alignment.hypothesis()
        self._begin()
        return (found,)

    def _emit(self, label: int, score: float, frame: int) -> None:
        self._alignment.emit(label, frame, math.exp(score))
        self._alignment.score += score
        self._step(label)

    def _step(self, label: int) -> None:
        self._predicted, (self._state,) = self.engine.predict([label], [self._state])

    def _joined(self, encoded: Floats) -> Floats:
        """Log-probabilities [frames, labels] of frames behind the labels so far."""
        assert self._predicted is not None
        (logits,) = self.engine.join(encoded, self._predicted)
        return self.vocabulary.log_probabilities(logits, self.settings.blank, self.settings.blank_penalty)
