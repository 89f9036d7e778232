"""The encoder and the attention decoder of a build, as searches over labels want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mctc.decode.engine import State
from mctc.decode.frames import DecodeError, Floats
from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.ir.types import Role
from mctc.runtime.built import Built, BuiltFunction
from mctc.runtime.encoder import from_port
from mctc.runtime.hearing import AMONG, Among, Hearing, Whole
from mctc.runtime.label_inputs import Item, LabelInputs
from mctc.runtime.step import Packages, Step
from mctc.runtime.stream import front_end_of

PREFILL = "_prefill"  # what the name of a function for several labels a call ends with


def decoder_of(built: Built) -> BuiltFunction | None:
    """The function that goes on label by label and hears: it reads a whole utterance of frames, or takes frames among
    the labels. None where there is none."""
    for name, function in built.functions.items():
        hears = function.streaming(function.inputs, Role.TIME) or any(port.given in AMONG for port in function.inputs)
        if function.role is Role.LABEL and hears and not name.endswith(PREFILL):
            return function
    return None


class EncoderDecoder:
    """A LabelEngine (mctc.decode.engine) over the packages of a build.

    tables: rows for inputs of the decoder (mctc.runtime.label_inputs). Raises BuildError for a build of another kind
    and for a missing table.
    """

    def __init__(
        self,
        built: Built,
        tables: Mapping[str, Array],
        precision: str | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self.built = built
        decoder = decoder_of(built)
        if decoder is None or built.manifest["audio"] is None:
            raise BuildError(f"{built.folder} has no encoder of log-mel frames and decoder of labels")
        packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
        self.hearing = _hearing(built, decoder, packages)
        names = [decoder.name, decoder.name + PREFILL]
        self.steps = [packages.step(name) for name in names if name in built.functions]
        self.longest = built.manifest["stream"].get("labels")
        self.logits = decoder.outputs[0]
        self.vocabulary = built.vocabulary(decoder.name, self.logits)
        self._inputs = LabelInputs(decoder, tables)
        self._before: list[Item] = []

    @property
    def utterance(self) -> int | None:
        """Frames that an utterance has at most; None where only the labels have a limit."""
        return self.hearing.frames

    @property
    def frames_a_label(self) -> Fraction | None:
        """Frames of the recording that one which stands among the labels is made of; None where none does."""
        return self.hearing.frames_a_label if isinstance(self.hearing, Among) else None

    @property
    def told(self) -> str | None:
        """The input of the encoder that is told which frames exist; None where there is none."""
        return self.built.exists(str(self.built.manifest["audio"]["function"]))

    def hear(self, mel: NDArray[np.float32], frames: int | Fraction | None = None, before: Sequence[int] = ()) -> None:
        """Encodes an utterance [frames, bins]; the next token is the first. Where frames do not stand among the labels,
        it has exactly `utterance` frames, the first `frames` of which exist.

        before: labels in front of the frames. Raises FedError for frames that the spec rules out.
        """
        self._memory, among = self.hearing.hear(mel, len(mel) if frames is None else frames)
        self._before = [*before, *among]

    def room(self, prompt: Sequence[int]) -> int | None:
        """For how many labels the decoder's cache has room behind a prompt; None where it is endless."""
        return None if self.longest is None else self.longest - len(self._before) - len(prompt)

    def start(self, prompt: Sequence[int]) -> tuple[Floats, State]:
        """Logits [vocabulary] after a prompt, and the state then: several labels a call where the build has a function
        for so many. Raises DecodeError for more labels than the decoder's cache was built for."""
        self._count, self._last = 0, self.steps[0]
        self._last.reset()
        return self._take([*self._before, *prompt]), self._held()

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

    def _take(self, items: Sequence[Item]) -> Floats:
        if self.longest is not None and self._count + len(items) > self.longest:
            raise DecodeError(f"this build's decoder goes on for {self.longest} labels, and no more")
        rest = list(items)
        logits: Floats = np.zeros((0, 0), np.float32)
        while rest:
            step = next(step for step in reversed(self.steps) if len(rest) >= _labels(step))
            if step is not self._last:
                step.continues(self._last)
                self._last = step
            taken, rest = rest[: _labels(step)], rest[_labels(step) :]
            ports = step.function.inputs
            given = {port.spec: self._inputs.given(port, taken, self._count, self._memory) for port in ports}
            output = step.function.outputs[0]
            logits = from_port(step(given)[output.spec], output)
            self._count += len(taken)
        return np.asarray(logits[-1])


def _hearing(built: Built, decoder: BuiltFunction, packages: Packages) -> Hearing:
    audio, name = built.manifest["audio"], str(built.manifest["audio"]["function"])
    encoder, streams, exists = packages.step(name), built.manifest["functions"][name]["streams"], built.exists(name)
    if any(port.given in AMONG for port in decoder.inputs):
        return Among(encoder, decoder, not streams, front_end_of(built).silence, exists)
    if streams:
        raise BuildError(f"the encoder of {built.folder} takes chunks, not a whole utterance")
    between = [
        packages.step(other)
        for other, function in built.functions.items()
        if function.role is Role.TIME and other != name
    ]
    mel = next(port for port in encoder.function.inputs if port.spec == audio["input"])
    return Whole(encoder, mel, between, decoder, exists)


def _labels(step: Step) -> int:
    """Labels a call."""
    return next(port.frames or 1 for port in step.function.outputs)
