"""The encoder of a build as a stream: log-mel frames in, encoded frames out, each once and in order."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mctc.driver.options import BuildError
from mctc.evaluate.adapt import adapt
from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.runtime.built import BuiltFunction, BuiltPort
from mctc.runtime.fed import heard
from mctc.runtime.step import Step
from mctc.streaming.context import VALID

Frames = NDArray[np.float32]


class Encoder:
    """Chunks of exactly `chunk` frames; frames that look-ahead holds back come with a later chunk or with `finish`.

    exists: the input that is told which frames exist, where the function has one.
    """

    def __init__(self, step: Step, output: BuiltPort | None = None, exists: str | None = None) -> None:
        function, self.exists = step.function, exists
        self.step, self.input, self.output = step, frames_input(function, exists), output or frames_output(function)
        self.chunk = self.input.frames or 0
        self.masked = any(port.spec == VALID for port in function.inputs)
        bins = next(n for n, role in zip(self.input.type.shape, self.input.type.roles) if _is_bins(role, n))
        self.bins = bins
        self.reset()

    def reset(self) -> None:
        self.step.reset()
        self._heard, self._given, self._late = 0, 0, self.output.delay

    def switch(self, step: Step) -> None:
        """The next chunk is `step`'s: the same component at another chunk, from the state that the last one left."""
        step.continues(self.step)
        self.step, self.input = step, frames_input(step.function, self.exists)
        self.output = next(port for port in step.function.outputs if port.spec == self.output.spec)
        self.chunk = self.input.frames or 0

    def push(self, mel: Frames, exist: int | Fraction | None = None) -> Frames:
        """Encoded frames [frames, width] after the next chunk [chunk, bins]; its first `exist` frames exist: of frames
        of samples a part, perhaps, of the last one."""
        exist = len(mel) if exist is None else exist
        valid = math.ceil(exist)
        self._heard += valid
        encoded = self._call(mel, valid, exist)
        late = min(self._late, len(encoded))
        self._late -= late
        encoded = encoded[late:][: self.total - self._given]
        self._given += len(encoded)
        return encoded

    def finish(self) -> Frames:
        """The frames that are left at the end of the utterance."""
        parts: list[Frames] = [np.zeros((0, self._width()), np.float32)]
        while self._given < self.total:
            parts.append(self.push(np.zeros((self.chunk, self.bins), np.float32), 0))
        return np.concatenate(parts)

    @property
    def total(self) -> int:
        """Encoded frames of all that was heard."""
        return -(-self._heard * (self.output.frames or 1) // self.chunk)

    def _call(self, mel: Frames, valid: int, exist: int | Fraction) -> Frames:
        mel = heard(self.input.spec, mel, valid, self.input.domain)
        silence = 0.0 if self.input.domain is None else self.input.domain.silence
        if silence and valid < len(mel):
            mel = np.concatenate([mel[:valid], np.full_like(mel[valid:], silence)])
        given = {self.input.spec: to_port(mel, self.input), **existing(self.step.function, self.exists, exist)}
        if self.masked:
            (marks,) = (port.frames or 1 for port in self.step.function.inputs if port.spec == VALID)
            strides = -(-valid * (self.output.frames or 1) // self.chunk)  # an utterance counts in whole strides
            given[VALID] = (np.arange(marks) * (self.output.frames or 1) < strides * marks).astype(np.float32)
        return from_port(self.step(given)[self.output.spec], self.output)

    def _width(self) -> int:
        return next(n for n, role in zip(self.output.type.shape, self.output.type.roles) if role.is_channel)


def frames_input(function: BuiltFunction, exists: str | None = None) -> BuiltPort:
    """The one input of frames with channels, besides the one that is told which exist. Raises BuildError when there is
    none, or more than one."""
    found = [port for port in function.streaming(function.inputs, Role.TIME) if port.spec not in (VALID, exists)]
    if len(found) != 1:
        raise BuildError(
            f"{function.name} takes {len(found)} streams of frames, not one, so no recording can be fed to it"
        )
    return found[0]


def existing(function: BuiltFunction, exists: str | None, frames: int | Fraction) -> dict[str, Array]:
    """What the input `exists` is given where the first `frames` of a call exist; nothing where there is none. It has a
    mark for each frame, or for each sample of it."""
    told = {}
    for port in (port for port in function.inputs if port.spec == exists):
        count = port.frames or 1
        entries = math.prod(port.type.shape) // count
        marks = (np.arange(count * entries) < math.ceil(frames * entries)).reshape(count, entries)
        marks = marks.astype(np.bool_ if port.type.dtype is DType.BOOL else np.float32)
        told[port.spec] = marks.reshape(port.type.shape) if entries == 1 else to_port(marks, port)
    return told


def frames_output(function: BuiltFunction) -> BuiltPort:
    found = function.over_time()
    if not found:
        raise BuildError(f"{function.name} returns no frames")
    return found[0]


def to_port(frames: Array, port: BuiltPort) -> Array:
    """Frames [frames, channels] in the layout of a port."""
    role = next(r for r, n in zip(port.type.roles, port.type.shape) if _is_bins(r, n))
    axes = (Axis(Role.BATCH, Extent.of(1)), Axis(_sequence(port), Extent.of(len(frames))))
    natural = TensorType(DType.F32, (*axes, Axis(role, Extent.of(frames.shape[1]))))
    return adapt(frames[None], natural, port.type)


def from_port(array: Array, port: BuiltPort) -> Frames:
    """A port's array as [frames, channels]."""
    role = next(r for r, n in zip(port.type.roles, port.type.shape) if _is_bins(r, n))
    wanted = (Axis(_sequence(port), Extent.of(port.frames or 1)), Axis(role, Extent.of(_extent(port, role))))
    return np.asarray(adapt(array, port.type, TensorType(DType.F32, wanted)), np.float32)


def _sequence(port: BuiltPort) -> Role:
    return Role.TIME if port.type.find(Role.TIME) is not None else Role.LABEL


def _extent(port: BuiltPort, role: Role) -> int:
    return port.type.shape[port.type.roles.index(role)]


def _is_bins(role: Role, extent: int) -> bool:
    return role.is_channel or (role is Role.FEATURE and extent > 1)
