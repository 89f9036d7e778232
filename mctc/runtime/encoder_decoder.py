"""The encoder and the attention decoder of a build, as searches over labels want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mctc.build.options import BuildError
from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.ir.op import Array
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction, BuiltPort
from mctc.runtime.encoder import existing, from_port, to_port
from mctc.runtime.fed import refuse_outside
from mctc.runtime.step import Packages, Step
from mctc.streaming.context import VALID

PREFILL = "_prefill"  # what the name of a function for several labels a call ends with
POSITION = "position"  # an input that tells how many labels were before; any other one over labels tells the label


def decoder_of(built: Built) -> BuiltFunction | None:
    """The function that goes on label by label and reads a whole utterance of frames; None where there is none."""
    for name, function in built.functions.items():
        reads = function.streaming(function.inputs, Role.TIME)
        if function.role is Role.LABEL and reads and not name.endswith(PREFILL):
            return function
    return None


class EncoderDecoder:
    """A LabelEngine (mctc.decode.engine) over the packages of a build whose encoder takes a whole utterance.

    tables: rows [entries, width] for decoder inputs with channels, by the input's name: the row of the label, or of its
    position for an input called `position`. Raises BuildError for a build of another kind and for a missing table.
    """

    def __init__(
        self,
        built: Built,
        tables: Mapping[str, Array],
        precision: str | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.built = built
        decoder, audio = decoder_of(built), built.manifest["audio"]
        if decoder is None or audio is None:
            raise BuildError(f"{built.folder} has no encoder of log-mel frames and decoder of labels")
        packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
        self.encoder = packages.step(audio["function"])
        self.mel = next(port for port in self.encoder.function.inputs if port.spec == audio["input"])
        if built.manifest["functions"][audio["function"]]["streams"]:
            raise BuildError(f"the encoder of {built.folder} takes chunks, not a whole utterance")
        self.between = [
            packages.step(name)
            for name, function in built.functions.items()
            if function.role is Role.TIME and name != audio["function"]
        ]
        names = [decoder.name, decoder.name + PREFILL]
        self.steps = [packages.step(name) for name in names if name in built.functions]
        self.tables, self.longest = tables, built.manifest["stream"].get("labels")
        self.logits = decoder.outputs[0]
        self.vocabulary = built.vocabulary(decoder.name, self.logits)
        self._check_tables(decoder)

    @property
    def utterance(self) -> int:
        """Frames that the encoder takes."""
        return self.mel.frames or 0

    @property
    def told(self) -> str | None:
        """The input of the encoder that is told which frames exist; None where there is none."""
        return self.built.exists(self.encoder.function.name)

    def hear(self, mel: NDArray[np.float32], frames: int | Fraction | None = None) -> None:
        """Encodes an utterance [frames, bins] of exactly `utterance` frames, the first `frames` of which exist.

        The next token is the first. Raises FedError for frames that the spec rules out.
        """
        refuse_outside(self.mel.spec, mel, self.mel.domain)
        told = existing(self.encoder.function, self.told, self.utterance if frames is None else frames)
        memory = self.encoder({self.mel.spec: to_port(mel, self.mel), **told})
        only = next(iter(memory.values()))
        for step in self.between:
            given = {port.spec: _heard(memory, only, port) for port in step.function.inputs}
            memory = {**memory, **step(given)}
        reads = self.steps[0].function.streaming(self.steps[0].function.inputs, Role.TIME)
        self._memory = {port.spec: _heard(memory, only, port) for port in reads}

    def start(self, prompt: Sequence[int]) -> tuple[Floats, State]:
        """Logits [vocabulary] after a prompt, and the state then: several labels a call where the build has a function
        for so many. Raises DecodeError for more labels than the decoder's cache was built for."""
        self._count, self._last = 0, self.steps[0]
        self._last.reset()
        return self._take(prompt), self._held()

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        """Logits [N, vocabulary] after one more label each, a call for each. Raises DecodeError as `start` does."""
        logits, after = [], []
        for label, state in zip(labels, states, strict=True):
            self._resume(state)
            logits.append(self._take([label]))
            after.append(self._held())
        return np.stack(logits), after

    def _held(self) -> State:
        """Labels so far, the step that took the last one, and what it left."""
        self._state = self._count, self._last, self._last.saved()
        return self._state

    def _resume(self, state: State) -> None:
        if state is not self._state:  # a cache is large, and a single hypothesis goes on where it is
            self._count, self._last, saved = state
            self._last.resume(saved)

    def _take(self, tokens: Sequence[int]) -> Floats:
        if self.longest is not None and self._count + len(tokens) > self.longest:
            raise DecodeError(f"this build's decoder goes on for {self.longest} labels, and no more")
        rest: list[int] = list(tokens)
        logits: Floats = np.zeros((0, 0), np.float32)
        while rest:
            step = next(step for step in reversed(self.steps) if len(rest) >= _labels(step))
            if step is not self._last:
                step.continues(self._last)
                self._last = step
            labels, rest = rest[: _labels(step)], rest[_labels(step) :]
            given = {port.spec: self._given(port, labels) for port in step.function.inputs}
            output = step.function.outputs[0]
            logits = from_port(step(given)[output.spec], output)
            self._count += len(labels)
        return np.asarray(logits[-1])

    def _given(self, port: BuiltPort, labels: list[int]) -> Array:
        if port.spec in self._memory:
            return self._memory[port.spec]
        if port.spec == VALID:
            return np.ones(port.type.shape, np.float32)
        numbers = np.arange(len(labels)) + self._count if port.spec == POSITION else np.asarray(labels)
        if port.spec in self.tables:
            return to_port(np.asarray(self.tables[port.spec][numbers], np.float32), port)
        return port.ids(numbers.tolist())

    def _check_tables(self, decoder: BuiltFunction) -> None:
        ports = decoder.streaming(decoder.inputs, Role.LABEL)
        taken = {port.spec for port in ports if port.type.find(Role.CHANNEL) is not None and port.table is None}
        for name in self.tables.keys() - taken:
            raise BuildError(f"the decoder takes no rows for {name}", hint=f"leave --table {name}=... out")
        for port in ports:
            at = port.type.find(Role.CHANNEL)
            if at is None or port.spec not in taken:
                continue
            width, table = port.type.shape[at], self.tables.get(port.spec)
            if table is None:
                hint = f"--table {port.spec}=FILE.npy, or --table {port.spec}=WEIGHTS.safetensors:NAME"
                raise BuildError(f"the decoder takes {port.spec} as a row of {width} numbers, not as an id", hint=hint)
            if table.ndim != 2 or table.shape[1] != width:
                raise BuildError(f"the table for {port.spec} is {list(table.shape)}; its rows have {width} numbers")


def _labels(step: Step) -> int:
    """Labels a call."""
    return next(port.frames or 1 for port in step.function.outputs)


def _heard(memory: Mapping[str, Array], only: Array, port: BuiltPort) -> Array:
    """A result of that name, else the encoder's."""
    array = memory.get(port.spec, only)
    if array.shape != port.type.shape:
        raise BuildError(f"nothing that the encoder gives fits {port.spec}, which is {list(port.type.shape)}")
    return array
