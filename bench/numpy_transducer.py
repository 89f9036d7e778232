"""Predictor and joiner of mct_small in numpy, fp32, over many hypotheses in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.decode.engine import State

Array = NDArray[np.float32]


class NumpyTransducer:
    """A TransducerEngine (mctc.decode.engine): an LSTM over embedded labels, and tanh(enc + pred) to logits.

    read: a parameter's value by its name in the spec.
    """

    frames = 8

    def __init__(self, read: Callable[[str], NDArray[Any]]) -> None:
        def matrix(name: str) -> Array:
            array = np.asarray(read(name), np.float32)
            return np.array(array.reshape(array.shape[0], -1).T, order="C")

        self.given = matrix("predictor.embedding.weight").T @ matrix("predictor.lstm.weight_ih")
        self.given += matrix("predictor.lstm.bias")[0]  # what a label adds to the gates
        self.weight = matrix("predictor.lstm.weight_hh")
        self.parts = {
            name: (matrix(f"joiner.{name}.weight"), matrix(f"joiner.{name}.bias")[0])
            for name in ("enc_proj", "pred_proj", "out")
        }

    def start(self) -> State:
        return np.zeros((2, len(self.weight)), np.float32)

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Array, list[State]]:
        hidden, cell = np.stack(states, axis=1)
        gates = self.given[list(labels)] + hidden @ self.weight
        given, forget, new, out = np.split(gates, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(given) * np.tanh(new)
        hidden = _sigmoid(out) * np.tanh(cell)
        return hidden, list(np.stack([hidden, cell], axis=1))

    def join(self, encoded: Array, predicted: Array) -> Array:
        frames, vectors = self._of("enc_proj", encoded), self._of("pred_proj", predicted)
        return self._of("out", np.tanh(frames[None] + vectors[:, None]))

    def _of(self, name: str, given: Array) -> Array:
        weight, bias = self.parts[name]
        return np.asarray(given @ weight + bias)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)
