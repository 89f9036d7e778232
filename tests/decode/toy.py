"""Small models with random weights in place of packages, computed row by row: a row's last bits can't depend on how
many rows are asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import Floats

WIDTH = 3


class ToyTransducer:
    """A recurrent predictor and a joiner of `labels` real classes and two padded ones, larger than all others."""

    def __init__(self, seed: int, labels: int = 4, blank_bias: float = 0.0, frames: int = 8, extra: int = 2) -> None:
        random = np.random.default_rng(seed)
        self.labels, self.frames = labels, frames
        self.embedding = random.normal(size=(labels, WIDTH))
        self.output = 2 * random.normal(size=(WIDTH, labels + extra))
        self.bias = np.where(np.arange(labels + extra) < labels, 0.0, 1e6)
        self.bias[0] = blank_bias
        self.predicted: list[int] = []
        self.vectors: list[Floats] = []  # that the predictor returned
        self.calls: list[int] = []  # hypotheses of each call of the predictor

    def start(self) -> State:
        return np.zeros(WIDTH)

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        self.predicted += labels
        self.calls.append(len(labels))
        after = [np.tanh(0.5 * state + self.embedding[label]) for label, state in zip(labels, states, strict=True)]
        self.vectors += after
        return np.stack(after), after

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        return np.stack([np.stack([self.logits(row, vector) for row in encoded]) for vector in predicted])

    def logits(self, row: Floats, vector: Floats) -> Floats:
        return np.asarray(np.tanh(row + vector) @ self.output + self.bias)


class ToyScorer:
    """What a label adds depends on all labels before it, at random; so does what the end adds."""

    def __init__(self, seed: int, labels: int) -> None:
        self.seed, self.labels = seed, labels
        self._known: dict[tuple[int, ...], Floats] = {}

    def start(self) -> State:
        return ()

    def advance(self, labels: Sequence[int], states: Sequence[State]) -> list[State]:
        return [(*state, label) for label, state in zip(labels, states, strict=True)]

    def scores(self, states: Sequence[State]) -> Floats:
        return np.stack([self._drawn(state)[:-1] for state in states])

    def ends(self, states: Sequence[State]) -> Floats:
        return np.array([self._drawn(state)[-1] for state in states])

    def total(self, ids: Sequence[int]) -> float:
        """What is added for a whole utterance."""
        added = sum(float(self._drawn(tuple(ids[:at]))[label]) for at, label in enumerate(ids))
        return added + float(self._drawn(tuple(ids))[-1])

    def _drawn(self, state: tuple[int, ...]) -> Floats:
        if state not in self._known:
            self._known[state] = np.random.default_rng([self.seed, *state, 99]).normal(size=self.labels + 1)
        return self._known[state]


def frames_of(seed: int, count: int, width: int = WIDTH) -> Floats:
    """Random encoded frames [count, width]."""
    return np.random.default_rng(seed).normal(size=(count, width))


def cut(frames: Floats, sizes: Sequence[int]) -> list[Floats]:
    """Frames in pieces of these sizes, and what is left."""
    return np.split(frames, np.minimum(np.cumsum(sizes, dtype=int), len(frames)))
