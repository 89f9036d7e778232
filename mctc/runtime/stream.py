"""One stream of audio through a build: samples in, what was heard so far out, and what each chunk cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mctc.audio.front_end import FrontEnd, existing_frames, frames_of, streaming
from mctc.decode.fusion import Scorer
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.settings import Settings
from mctc.driver.names import SAMPLES
from mctc.driver.options import BuildError
from mctc.records import dataclass
from mctc.runtime.built import Built
from mctc.runtime.searched import Recogniser

Samples = NDArray[np.float32]
Frames = NDArray[np.float32]


@dataclass(frozen=True)
class ChunkCost:
    """Seconds that one chunk took: front end, encoder, and search (predictor and joiner)."""

    mel: float
    encode: float
    search: float

    @property
    def total(self) -> float:
        return self.mel + self.encode + self.search


class SpeechStream:
    """Audio of one stream, in pieces of any length, through front end, encoder and search.

    A build that streams is called as soon as a chunk of frames is there. One that takes a whole utterance is called at
    the end. Raises BuildError for a build that takes no log-mel frames.

    audio_s: seconds of audio that the encoder has heard. ready_s: from the start of the audio until the last chunk's
    result was there, were the audio live: a chunk is begun when its sound and the result before it are there.
    """

    def __init__(self, model: Recogniser, settings: Settings, scorers: Sequence[Scorer] = ()) -> None:
        self.config, model = front_end_of(model.built), model.own()
        self._model = model
        self._engine = model.engine
        self.encoder, self.search = model.stream(), model.search(settings, scorers)
        self.once = not model.built.lengths.streams
        self.costs: list[ChunkCost] = []
        self.audio_s = self.ready_s = 0.0
        self._frames = streaming(self.config) if self.config.streams else None
        self._samples: list[Samples] = []
        self._count = 0
        self._held: Frames = np.zeros((0, self.config.bins), np.float32)

    @property
    def frame_s(self) -> float:
        """Seconds of one encoded frame."""
        strides = self.encoder.output.frames or 1
        return self.encoder.chunk / strides / self.config.frame_rate

    @property
    def calls(self) -> Mapping[str, int]:
        """Calls of the functions that search, for this stream."""
        return {} if self._engine is None else self._engine.calls

    @property
    def chunk_samples(self) -> int:
        """Samples that one chunk of frames is made of."""
        return self.config.samples(self.encoder.chunk)

    def switch(self, chunk: Fraction | int) -> None:
        """From now on the encoder is called at another of the build's chunks, in seconds or frames: what it has heard
        goes on. Raises BuildError where the build has no such functions."""
        self.encoder.switch(self._model.step_at(chunk))

    def push(self, samples: Samples) -> Iterator[Partial]:
        """What is known after each chunk that the next samples complete, as it is iterated: floats in [-1, 1] at the
        front end's rate. Raises BuildError for more audio than the one utterance that a build takes."""
        started = perf_counter()
        self._count += len(samples)
        if self._frames is None:
            self._samples.append(samples)
            self._refuse_longer(int(sum(map(len, self._samples)) * self.config.rate / self.config.sample_rate))
            return
        self._held = np.concatenate([self._held, self._frames.push(samples)])
        self._refuse_longer(len(self._held))
        while len(self._held) >= self.encoder.chunk and not self.once:
            chunk, self._held = self._held[: self.encoder.chunk], self._held[self.encoder.chunk :]
            yield self._hear(chunk, len(chunk), started)
            started = perf_counter()

    def flush(self) -> Iterator[Partial]:
        """The same at the end of the audio, with what the encoder held back."""
        started = perf_counter()
        for chunk, frames in self._rest():
            yield self._hear(chunk, frames, started)
            started = perf_counter()
        encoded = self.encoder.finish()
        if len(encoded):
            coded = perf_counter()
            partial = self.search.accept(encoded)
            self._paid(ChunkCost(0.0, coded - started, perf_counter() - coded))
            yield partial

    def finish(self) -> tuple[Hypothesis, ...]:
        """The hypotheses of the utterance, the best first; the next samples are of another one."""
        return self.search.finish()

    def _rest(self) -> Iterator[tuple[Frames, int | Fraction]]:
        """The frames that are left as chunks, and how many of each exist: filled with silence where a chunk is an
        utterance, with zeros at the end of a stream."""
        if self._frames is not None:
            left = np.concatenate([self._held, self._frames.flush()])
        else:
            left = frames_of(np.concatenate([*self._samples, np.zeros(0, np.float32)]), self.config)
        exist = existing_frames(self._count, self.config) if self.once else len(left)
        self._count = 0
        self._held, self._samples = left[:0], []
        size, fill = self.encoder.chunk, self.config.silence if self.once else 0.0
        self._refuse_longer(len(left))
        for at in range(0, len(left), size):
            part = left[at : at + size]
            yield np.pad(part, ((0, size - len(part)), (0, 0)), constant_values=fill), min(len(part), exist - at)

    def _hear(self, chunk: Frames, frames: int | Fraction, started: float) -> Partial:
        heard = perf_counter()
        encoded = self.encoder.push(chunk, frames)
        coded = perf_counter()
        partial = self.search.accept(encoded)
        self.audio_s += float(frames / self.config.rate)
        self._paid(ChunkCost(heard - started, coded - heard, perf_counter() - coded))
        return partial

    def _paid(self, cost: ChunkCost) -> None:
        self.costs.append(cost)
        self.ready_s = max(self.ready_s, self.audio_s) + cost.total

    def _refuse_longer(self, frames: int) -> None:
        if self.once and frames > self.encoder.chunk:
            room = self.encoder.chunk / self.config.frame_rate
            told = f"the recording is longer than an utterance, {room:g} s"
            raise BuildError(told, hint="cut it where someone pauses")


def front_end_of(built: Built) -> FrontEnd:
    """What makes the frames that a build takes. Raises BuildError when it takes none that are made of sound."""
    if built.front_end is None:
        raise BuildError(
            f"{built.folder} takes no log-mel frames and no samples, so no recording can be fed to it",
            hint=_missing(built),
        )
    return built.front_end


def _missing(built: Built) -> str:
    """What the spec lacks of what a recording is fed to."""
    if any(port.spec == SAMPLES for function in built.functions.values() for port in function.inputs):
        return "the input `samples` is fed where the spec says at which rate: `audio { rate = 16 kHz }`"
    return (
        "an encoder's input named `mel`, of 80 or 128 bins at 100 frames a second, is fed from audio; others are what "
        "the spec's `audio` section says, such as `audio { rate = 16 kHz }`"
    )
