"""Log-probabilities of a transducer for label histories, with as few calls of its functions as will do.

A history's vector is computed once, and joined once with all frames that are left of a block; what the histories of a
beam still lack is asked for in one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import TransducerEngine
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.histories import ROOT, History
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary, log_softmax


class Joined:
    """Frames go in by blocks of at most `engine.frames`."""

    def __init__(self, engine: TransducerEngine, vocabulary: Vocabulary, settings: Settings) -> None:
        vocabulary.require(settings.blank)
        self.engine, self.vocabulary, self.settings = engine, vocabulary, settings
        self._encoded: Floats = np.zeros((0, 0))
        self._block = 0

    def hear(self, encoded: Floats) -> None:
        """The next block of frames [frames, width]."""
        self._encoded, self._block = encoded, self._block + 1

    def scores(self, histories: Sequence[History], frame: int) -> Floats:
        """Log-probabilities of the labels, and behind them of the durations where there are any, at a frame of the
        block, [N, labels + durations]."""
        missing = [history for history in histories if history.block != self._block]
        if missing:
            self._predict([history for history in missing if history.vector is None])
            vectors = np.stack([history.vector for history in missing if history.vector is not None])
            logits = self.engine.join(self._encoded[frame:], vectors)
            if logits.ndim != 3 or logits.shape[:2] != (len(missing), len(self._encoded) - frame):
                told = f"{len(missing)} hypotheses and {len(self._encoded) - frame} frames"
                raise DecodeError(f"the joiner returned logits of shape {list(logits.shape)} for {told}")
            for history, scores in zip(missing, self.log_probabilities(logits), strict=True):
                history.block, history.first, history.scores = self._block, frame, scores
        return np.array([history.scores[frame - history.first] for history in histories if history.scores is not None])

    def log_probabilities(self, logits: Floats) -> Floats:
        """Of the joiner's logits [..., vocabulary]; those of durations follow the last token's."""
        settings, labels = self.settings, len(self.vocabulary.tokens)
        tokens = self.vocabulary.log_probabilities(logits[..., :labels], settings.blank, settings.blank_penalty)
        if not settings.durations:
            return tokens
        durations = logits[..., labels : labels + len(settings.durations)].astype(np.float64)
        if durations.shape[-1] < len(settings.durations) or np.isnan(durations).any():
            need = f"{labels} labels and {len(settings.durations)} durations"
            raise DecodeError(f"logits of shape {list(logits.shape)} are not those of {need}, all numbers")
        return np.concatenate([tokens, log_softmax(durations)], axis=-1)

    def _predict(self, histories: Sequence[History]) -> None:
        for history in histories:
            if history.label == ROOT:
                history.state = self.engine.start()
        if histories:
            labels = [self.settings.blank if history.label == ROOT else history.label for history in histories]
            vectors, states = self.engine.predict(labels, [history.state for history in histories])
            for history, vector, state in zip(histories, vectors, states, strict=True):
                history.vector, history.state = vector, state
