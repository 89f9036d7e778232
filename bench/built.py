"""A build in both forms: its package, streamed, and its program over whole sequences."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mctc.evaluate.coreml import Precision
from mctc.evaluate.reference import evaluate
from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.text import parse_program
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.rewrite.adapt import adapt
from mctc.runtime.built import Built, open_built
from mctc.runtime.transducer import Transducer
from mctc.weights import Weights

Rows = NDArray[np.float64]
BATCH = Axis(Role.BATCH, Extent.of(1))


class Whole:
    """The functions of whole.mir in float64, by the IR's reference, with the weights as the package has them."""

    def __init__(self, built: Built) -> None:
        self.program = parse_program((built.folder / "whole.mir").read_text(encoding="utf-8"))
        self._weights = Weights(self.program.sources, built.seed or 0, cache=True)

    def encode(self, mel: Array) -> Rows:
        """Encoded frames [T / 4, width] of log-mel frames [T, bins]."""
        return self._rows("encoder", {"mel": _frames(mel, Role.TIME)}, Role.TIME)

    def predict(self, tokens: Array) -> Rows:
        """Predictor outputs [labels, width] of token ids [labels]."""
        ids = TensorType(DType.I32, (BATCH, Axis(Role.LABEL, Extent.of(len(tokens)))))
        return self._rows("predictor", {"token": (tokens[None], ids)}, Role.LABEL)

    def join(self, encoded: Array, predicted: Array) -> Rows:
        """Logits [frames, padded vocabulary] of encoded frames [frames, width] and one predictor output [width]."""
        given = {"enc": _frames(encoded, Role.TIME), "pred": _frames(predicted[None], Role.LABEL)}
        return self._rows("joiner", given, Role.TIME)

    def _rows(self, name: str, given: dict[str, tuple[Array, TensorType]], role: Role) -> Rows:
        function = self.program.functions[name]
        types = {value.name: value.type for value in function.inputs}
        inputs = {key: adapt(array, type_, types[key]) for key, (array, type_) in given.items()}
        results, _ = evaluate(function, inputs, lambda key: self._weights.deployed(self.program.parameters[key]))
        ((key, value),) = function.results
        width = next(axis for axis in value.type.axes if axis.role.is_channel or axis.role is Role.VOCABULARY)
        wanted = next(axis for axis in value.type.axes if axis.role is role)
        return np.asarray(adapt(results[key], value.type, TensorType(DType.F32, (wanted, width))), np.float64)


class Streamed:
    """The same functions, read from the package on disk and called chunk after chunk."""

    def __init__(self, built: Built, precision: Precision) -> None:
        self._transducer = Transducer(built, precision)

    @cached_property
    def chunk(self) -> int:
        return self._transducer.encoder.chunk

    def encode(self, mel: Array) -> Rows:
        """As Whole.encode; the last chunk may be short."""
        encoder = self._transducer.encoder
        encoder.reset()
        parts = []
        for start in range(0, len(mel), self.chunk):
            part = mel[start : start + self.chunk]
            filled = np.pad(part, ((0, self.chunk - len(part)), (0, 0)))
            parts.append(encoder.push(filled.astype(np.float32), len(part)))
        return np.concatenate([*parts, encoder.finish()]).astype(np.float64)

    def predict(self, tokens: Array) -> Rows:
        """As Whole.predict, a token a call."""
        self._transducer.reset()
        return np.stack([self._transducer.predict(int(token)) for token in tokens]).astype(np.float64)

    def join(self, encoded: Array, predicted: Array) -> Rows:
        """As Whole.join, `join_frames` frames a call; the frames of the last call that is not full are left out."""
        step = self._transducer.join_frames
        starts = range(0, len(encoded) - step + 1, step)
        narrow = predicted.astype(np.float32)
        joined = [self._transducer.join(encoded[i : i + step].astype(np.float32), narrow) for i in starts]
        return np.concatenate(joined).astype(np.float64)


def forms(folder: Path) -> tuple[Whole, Streamed, Streamed]:
    """The build as a whole program, as an fp32 package and as an fp16 package."""
    built = open_built(folder)
    return Whole(built), Streamed(built, "fp32"), Streamed(built, "fp16")


def signal_to_noise(expected: Array, actual: Array) -> float:
    """10 log10 of the power of `expected` over that of the difference, in dB."""
    noise = float(np.sum((np.asarray(actual, np.float64) - expected) ** 2))
    return float("inf") if noise == 0 else 10 * float(np.log10(np.sum(np.square(expected)) / noise))


def _frames(rows: Array, role: Role) -> tuple[Array, TensorType]:
    axes = (BATCH, Axis(role, Extent.of(len(rows))), Axis(Role.CHANNEL, Extent.of(rows.shape[1])))
    return rows[None], TensorType(DType.F32, axes)
