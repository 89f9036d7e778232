"""Predictor and joiner of a build as searches want them: calls over many hypotheses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.decode.vocabulary import Vocabulary
from mctc.driver.options import BuildError
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction
from mctc.runtime.encoder import frames_output, from_port, to_port
from mctc.runtime.step import Packages


class BuiltTransducer:
    """Predictor and joiner of a build (mctc.decode.engine.TransducerEngine), in any runtime.

    What a build holds takes one label and one predictor's vector a call, so many hypotheses are many calls; the frames
    that the joiner takes are one call. Raises BuildError when the build has no such functions.
    """

    def __init__(self, built: Built, packages: Packages) -> None:
        _, predictor, joiner = roles_of(built)
        if joiner.states:
            told = f"{joiner.name} of {built.folder} carries states, and a search calls it several times a frame"
            raise BuildError(told, hint="look at other frames in the encoder, where each is seen once")
        self._predict, self._join = packages.step(predictor.name), packages.step(joiner.name)
        (self._label,) = predictor.inputs
        self._vector = predictor.outputs[0]
        self._encoded = joiner.streaming(joiner.inputs, Role.TIME)[0]
        self._predicted = next(port for port in joiner.inputs if port is not self._encoded)
        self._logits = frames_output(joiner)
        others = [port for port in joiner.streaming(joiner.outputs, Role.TIME) if port is not self._logits]
        self._durations = others[0] if others and built.durations else None
        self.vocabulary = _labels(built, built.vocabulary(joiner.name, self._logits), apart=self._durations is not None)
        self.frames = self._encoded.frames or 1
        self.predict_calls = self.join_calls = 0

    @property
    def calls(self) -> dict[str, int]:
        """Calls of the functions since the engine was made."""
        return {"predictor": self.predict_calls, "joiner": self.join_calls}

    def start(self) -> State:
        self._predict.reset()
        return self._predict.saved()

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        vectors, after = [], []
        for label, state in zip(labels, states, strict=True):
            self.predict_calls += 1
            self._predict.resume(state)
            result = self._predict({self._label.spec: self._label.ids([label])})[self._vector.spec]
            vectors.append(np.asarray(result, np.float32).reshape(-1))
            after.append(self._predict.saved())
        return np.stack(vectors), after

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        parts = np.split(np.asarray(encoded, np.float32), range(self.frames, len(encoded), self.frames))
        return np.stack([np.concatenate([self._joined(part, vector) for part in parts]) for vector in predicted])

    def _joined(self, encoded: Floats, predicted: Floats) -> Floats:
        """Logits [frames, vocabulary], behind them those of durations that are a result of their own: frames that a
        call has room for are filled up with zeros."""
        self.join_calls += 1
        filled = np.pad(encoded, ((0, self.frames - len(encoded)), (0, 0)))
        given = {
            self._encoded.spec: to_port(filled, self._encoded),
            self._predicted.spec: predicted.reshape(self._predicted.type.shape),
        }
        results = self._join(given)
        logits = from_port(results[self._logits.spec], self._logits)
        if (apart := self._durations) is not None:
            labels = logits[:, : self.vocabulary.size]
            logits = np.concatenate([labels, from_port(results[apart.spec], apart)], axis=1)
        if len(logits) != len(filled):
            raise DecodeError(f"the joiner returned logits for {len(logits)} frames, not for the {len(filled)} given")
        return logits[: len(encoded)]


def _labels(built: Built, entries: Vocabulary, *, apart: bool) -> Vocabulary:
    """The labels among the entries of the joiner's vocabulary, whose last are durations unless those are `apart`."""
    among = 0 if apart else len(built.durations)
    return Vocabulary.first(entries.size - among) if among else entries


def roles_of(built: Built) -> tuple[BuiltFunction, BuiltFunction, BuiltFunction]:
    """Encoder, predictor and joiner. Raises BuildError when one is missing."""

    def takes(function: BuiltFunction, role: Role) -> bool:
        return bool(function.streaming(function.inputs, role))

    kinds = {(takes(f, Role.TIME), takes(f, Role.LABEL)): f for f in built.functions.values()}
    found = [kinds.get(kind) for kind in ((True, False), (False, True), (True, True))]
    missing = [name for name, f in zip(("encoder", "predictor", "joiner"), found) if f is None]
    if missing:
        raise BuildError(
            f"{built.folder} is no transducer: it has no {' and no '.join(missing)}",
            hint="`mctc run PACKAGE --input x.npy` runs any function of its package",
        )
    encoder, predictor, joiner = (f for f in found if f is not None)
    return encoder, predictor, joiner
