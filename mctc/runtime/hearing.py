"""A recording through the functions over time of a build with a decoder: what its inputs are then given."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from typing import Protocol

import numpy as np

from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.ir.types import Role, TensorType
from mctc.objectives.taken import Result, named_for, taken
from mctc.runtime.built import BuiltFunction, BuiltPort
from mctc.runtime.encoder import Encoder, Frames, existing, frames_output, to_port
from mctc.runtime.fed import heard
from mctc.runtime.step import Step

AMONG = ("frame", "row")  # what an input is given where frames stand among the labels


class Hearing(Protocol):
    """Encodes log-mel frames. `frames`: how many a recording has at most, None for any number."""

    @property
    def frames(self) -> int | None: ...

    def hear(self, mel: Frames, frames: int | Fraction) -> tuple[Mapping[str, Array], list[Frames]]:
        """Of frames [frames, bins], the first `frames` of which exist, what inputs over time are given, and the frames
        [width] that stand among labels."""


class Whole:
    """An utterance of exactly `frames` frames in one call, and what is made of it for the decoder to attend to.

    exists: the input that is told which frames exist, where the encoder has one.
    """

    def __init__(
        self, encoder: Step, mel: BuiltPort, between: list[Step], decoder: BuiltFunction, exists: str | None
    ) -> None:
        self.encoder, self.mel, self.between, self.decoder, self.exists = encoder, mel, between, decoder, exists

    @property
    def frames(self) -> int:
        return self.mel.frames or 0

    def hear(self, mel: Frames, frames: int | Fraction) -> tuple[dict[str, Array], list[Frames]]:
        """Raises FedError for frames that the spec rules out."""
        mel = heard(self.mel.spec, mel, len(mel), self.mel.domain)
        told = existing(self.encoder.function, self.exists, frames)
        memory = self.encoder({self.mel.spec: to_port(mel, self.mel), **told})
        made = _Made(self.encoder.function, memory)
        for step in self.between:
            given = {port.spec: made.given(step.function, port) for port in step.function.inputs}
            made.add(step.function, step(given))
        reads = self.decoder.streaming(self.decoder.inputs, Role.TIME)
        return {port.spec: made.given(self.decoder, port) for port in reads}, []


class Among:
    """Any number of calls for frames that stand among the labels. silence: what fills up a call that takes a whole
    utterance; a chunk is filled up with zeros. exists: as above."""

    def __init__(
        self, encoder: Step, decoder: BuiltFunction, once: bool, silence: float, exists: str | None
    ) -> None:  # fmt: skip
        wanted = {port.spec for port in decoder.inputs if port.given in AMONG}
        outputs = encoder.function.streaming(encoder.function.outputs, Role.TIME)
        named = next((port for port in outputs if port.spec in wanted), frames_output(encoder.function))
        self.encoder, self.once, self.fill = Encoder(encoder, named, exists), once, silence if once else 0.0

    @property
    def frames(self) -> int | None:
        return self.encoder.chunk if self.once else None

    @property
    def frames_a_label(self) -> Fraction:
        """Log-mel frames that one which stands among labels is made of."""
        return Fraction(self.encoder.chunk, self.encoder.output.frames or 1)

    def hear(self, mel: Frames, frames: int | Fraction) -> tuple[dict[str, Array], list[Frames]]:
        """Raises FedError for frames that the spec rules out."""
        self.encoder.reset()
        size, found, mel = self.encoder.chunk, list[Frames](), mel[: ceil(frames)]
        for at in range(0, len(mel), size):
            part = mel[at : at + size]
            filled = np.pad(part, ((0, size - len(part)), (0, 0)), constant_values=self.fill)
            found.extend(self.encoder.push(filled, min(len(part), frames - at)))
        return {}, [*found, *self.encoder.finish()]


class _Made:
    """Results of the functions that were called, the encoder's first."""

    def __init__(self, encoder: BuiltFunction, results: Mapping[str, Array]) -> None:
        self.types: dict[Result, TensorType] = {}
        self.arrays: dict[Result, Array] = {}
        self.add(encoder, results)

    def add(self, function: BuiltFunction, results: Mapping[str, Array]) -> None:
        for port in function.outputs:
            result = Result(function.name, port.spec)
            self.types[result], self.arrays[result] = port.type, results[port.spec]

    def given(self, function: BuiltFunction, port: BuiltPort) -> Array:
        """What an input is given. Raises MisfitError where several results could be meant, BuildError for one that
        does not fit."""
        result = taken(function.name, port.spec, port.type, self.types)
        array = self.arrays[result]
        if array.shape != port.type.shape:
            told = f"`{port.spec}` of `{function.name}` is {list(port.type.shape)}, but {result} is given to it"
            raise BuildError(f"{told}, {list(array.shape)}", hint=named_for(port.spec))
        return array
