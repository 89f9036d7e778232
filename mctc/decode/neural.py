"""A neural language model over labels as a scorer: shallow fusion (Gulcehre et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import LabelEngine, State
from mctc.decode.frames import Floats
from mctc.decode.vocabulary import log_softmax


class NeuralScorer:
    """A Scorer (mctc.decode.fusion) over anything that predicts labels, one call for all hypotheses of a beam.

    tokens: the model's token for each label. prompt: the tokens that an utterance begins behind. end: the token that
    closes one, if any. weight: what log-probabilities are multiplied by.
    """

    def __init__(
        self, engine: LabelEngine, tokens: Sequence[int], prompt: Sequence[int], end: int | None, weight: float
    ) -> None:
        self.engine, self.prompt, self.end, self.weight = engine, prompt, end, weight
        self._tokens = np.asarray(tokens)

    def start(self) -> State:
        logits, state = self.engine.start(self.prompt)
        return _weighted(logits, self.weight), state

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        if not labels:
            return []
        logits, after = self.engine.predict(self._tokens[list(labels)].tolist(), [state for _, state in states])
        return list(zip(_weighted(logits, self.weight), after, strict=True))

    def scores(self, states: Sequence[State]) -> Floats:
        return np.stack([scores[self._tokens] for scores, _ in states])

    def ends(self, states: Sequence[State]) -> Floats:
        return np.array([0.0 if self.end is None else scores[self.end] for scores, _ in states])


def _weighted(logits: Floats, weight: float) -> Floats:
    return weight * log_softmax(np.asarray(logits, np.float64))
