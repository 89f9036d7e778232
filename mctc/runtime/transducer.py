"""Encoder, predictor and joiner of a build as the greedy decoder wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mctc.build.options import BuildError
from mctc.decode.stepper import Floats
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction
from mctc.runtime.encoder import Encoder, frames_output, from_port, to_port
from mctc.runtime.step import Packages


class Transducer:
    """A mctc.decode Stepper over the packages of a build.

    The functions are told apart by their interfaces: the encoder takes frames, the predictor takes labels, the joiner
    takes both. Raises BuildError when the build has no three such functions.
    """

    def __init__(self, built: Built, precision: str | None = None, checkpoint: Path | None = None) -> None:
        packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
        encoder, predictor, joiner = roles_of(built)
        if joiner.states:
            told = f"{joiner.name} of {built.folder} carries states, and a search calls it several times a frame"
            raise BuildError(told, hint="look at other frames in the encoder, where each is seen once")
        self.encoder = Encoder(packages.step(encoder.name))
        self._predict, self._join = packages.step(predictor.name), packages.step(joiner.name)
        self._encoded = joiner.streaming(joiner.inputs, Role.TIME)[0]
        self._predicted = next(port for port in joiner.inputs if port is not self._encoded)
        self._logits = frames_output(joiner)
        self.vocabulary = built.vocabulary(joiner.name, self._logits)
        self.join_frames = self._encoded.frames or 1

    def reset(self) -> None:
        self.encoder.reset()
        self._predict.reset()

    def encode(self, mel: NDArray[np.float32]) -> Floats:
        return self.encoder.push(mel)

    def predict(self, token: int) -> Floats:
        (port,) = self._predict.function.inputs
        output = self._predict.function.outputs[0]
        results = self._predict({port.spec: port.ids([token])})
        return results[output.spec].reshape(-1).astype(np.float32)

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        given = {
            self._encoded.spec: to_port(np.asarray(encoded, np.float32), self._encoded),
            self._predicted.spec: predicted.reshape(self._predicted.type.shape),
        }
        return from_port(self._join(given)[self._logits.spec], self._logits)


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
