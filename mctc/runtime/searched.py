"""A build as searches want it: which search fits it, and the calls of its functions over many hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mctc.build.options import BuildError
from mctc.decode.engine import State
from mctc.decode.fusion import Scorer
from mctc.decode.search import Search, ctc_search, transducer_search
from mctc.decode.settings import Settings
from mctc.decode.stepper import DecodeError, Floats
from mctc.decode.vocabulary import Vocabulary
from mctc.ir.types import Role
from mctc.runtime.built import Built
from mctc.runtime.ctc import classifier
from mctc.runtime.encoder import Encoder, frames_output, from_port, to_port
from mctc.runtime.step import Packages
from mctc.runtime.transducer import roles_of


@dataclass(frozen=True)
class Recogniser:
    """The encoder of a build, and how a search over its frames is made: one for every stream."""

    built: Built
    packages: Packages
    encoder: str
    engine: BuiltTransducer | None
    vocabulary: Vocabulary

    def stream(self) -> Encoder:
        """The encoder with a state of its own: log-mel frames in, encoded frames out."""
        step = self.packages.step(self.encoder)
        return Encoder(step) if self.engine is not None else Encoder(step, classifier(self.built)[1])

    def search(self, settings: Settings, scorers: Sequence[Scorer] = ()) -> Search:
        """A search over encoded frames. The blank is the build's, whatever the settings say."""
        settings = replace(settings, blank=self.built.blank)
        if self.engine is not None:
            return transducer_search(self.engine, self.vocabulary, settings, scorers)
        return ctc_search(self.vocabulary, settings, scorers)


def recogniser(built: Built, precision: str | None = None, checkpoint: Path | None = None) -> Recogniser:
    """A transducer where any function takes labels, else an encoder with CTC. Raises BuildError for a build of neither.

    checkpoint: the trained weights, for a build whose files hold none.
    """
    packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
    if not any(function.role is Role.LABEL for function in built.functions.values()):
        function, output = classifier(built)
        return Recogniser(built, packages, function.name, None, built.vocabulary(function.name, output))
    engine = BuiltTransducer(built, packages)
    return Recogniser(built, packages, roles_of(built)[0].name, engine, engine.vocabulary)


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
        self.vocabulary = built.vocabulary(joiner.name, self._logits)
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
        """Logits [frames, vocabulary]: frames that a call has room for are filled up with zeros."""
        self.join_calls += 1
        filled = np.pad(encoded, ((0, self.frames - len(encoded)), (0, 0)))
        given = {
            self._encoded.spec: to_port(filled, self._encoded),
            self._predicted.spec: predicted.reshape(self._predicted.type.shape),
        }
        logits = from_port(self._join(given)[self._logits.spec], self._logits)
        if len(logits) != len(filled):
            raise DecodeError(f"the joiner returned logits for {len(logits)} frames, not for the {len(filled)} given")
        return logits[: len(encoded)]
