"""A recording from end to end: audio, log-mel frames, encoder steps, greedy search, and what each cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mctc.audio.load import stream_audio
from mctc.audio.mel import StreamingMel
from mctc.build.options import BuildError
from mctc.decode.ctc import CtcDecoder
from mctc.decode.greedy import Emission, GreedyDecoder
from mctc.ir.types import Role
from mctc.runtime.built import Built
from mctc.runtime.ctc import Ctc
from mctc.runtime.encoder import Encoder
from mctc.runtime.transducer import Transducer

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


@dataclass
class Transcript:
    """What came out of one recording, and at what cost. Times in seconds unless they say milliseconds."""

    emissions: list[Emission] = field(default_factory=list)
    costs: list[ChunkCost] = field(default_factory=list)
    audio_s: float = 0.0
    frames: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)  # of the functions that search

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio."""
        return sum(cost.total for cost in self.costs) / self.audio_s if self.audio_s else 0.0


def transcribe(
    built: Built,
    audio: Path,
    precision: str | None = None,
    max_symbols: int = 5,
    on_chunk: Callable[[Transcript], None] | None = None,
    checkpoint: Path | None = None,
) -> Transcript:
    """Streams a recording through a build: a transducer, with at most `max_symbols` tokens a frame, or an encoder with
    CTC. `on_chunk` sees every chunk.

    checkpoint: the trained weights, for a build whose files hold none.

    Raises AudioError for a recording that can't be read, BuildError for a build that takes no speech or for a recording
    that is longer than the one utterance it takes, and what the evaluator raises.
    """
    encoder, decoder = _recogniser(built, precision, max_symbols, checkpoint)
    transcript = Transcript()
    mel = front_end(built)
    hop_s = mel.config.hop / mel.config.sample_rate
    chunks = mel_chunks(mel, audio, encoder.chunk, once=not built.lengths.streams)
    while True:
        start = perf_counter()
        chunk = next(chunks, None)
        heard = perf_counter()
        encoded = encoder.finish() if chunk is None else encoder.push(*chunk)
        coded = perf_counter()
        transcript.emissions += decoder.push_encoded(encoded)
        transcript.frames, transcript.calls = decoder.frames, decoder.calls
        if chunk is None and not len(encoded):
            return transcript
        transcript.costs.append(ChunkCost(heard - start, coded - heard, perf_counter() - coded))
        transcript.audio_s += 0.0 if chunk is None else chunk[1] * hop_s
        if on_chunk:
            on_chunk(transcript)
        if chunk is None:
            return transcript


def _recogniser(
    built: Built, precision: str | None, max_symbols: int, checkpoint: Path | None
) -> tuple[Encoder, GreedyDecoder | CtcDecoder]:
    """A transducer where anything takes labels, else an encoder with CTC. Raises BuildError for a build of neither."""
    if not any(function.role is Role.LABEL for function in built.functions.values()):
        ctc = Ctc(built, precision, checkpoint)
        return ctc.encoder, ctc.decoder
    model = Transducer(built, precision, checkpoint)
    return model.encoder, GreedyDecoder(model, model.vocabulary, built.blank, max_symbols, model.join_frames)


def front_end(built: Built) -> StreamingMel:
    """The log-mel front end that the build was made for. Raises BuildError when it takes no log-mel frames."""
    if built.mel is None:
        raise BuildError(
            f"{built.folder} takes no log-mel frames, so no recording can be fed to it",
            hint="an encoder's input named `mel`, of 80 or 128 bins at 100 frames a second, is fed from audio",
        )
    return StreamingMel(built.mel)


def mel_chunks(mel: StreamingMel, audio: Path, chunk: int, once: bool = False) -> Iterator[tuple[Frames, int]]:
    """Log-mel chunks [chunk, bins] of a recording, and how many frames of each exist; the last is filled with zeros.

    once: a chunk is a whole utterance, filled with silence. Raises BuildError for a recording that is longer.
    """
    config = mel.config
    for number, part in enumerate(_parts(mel, audio, chunk)):
        if once and number:
            room = chunk * config.hop / config.sample_rate
            raise BuildError(f"{audio} is longer than an utterance, {room:g} s", hint="cut it where someone pauses")
        fill = config.silence if once else 0.0
        yield np.pad(part, ((0, chunk - len(part)), (0, 0)), constant_values=fill), len(part)


def _parts(mel: StreamingMel, audio: Path, chunk: int) -> Iterator[Frames]:
    """The frames of a recording, `chunk` at a time; the last part may have fewer."""
    config = mel.config
    held: Frames = np.zeros((0, config.bins), np.float32)
    for samples in stream_audio(audio, chunk * config.hop, config.sample_rate):
        held = np.concatenate([held, mel.push(samples)])
        while len(held) >= chunk:
            yield held[:chunk]
            held = held[chunk:]
    held = np.concatenate([held, mel.flush()])
    while len(held):
        yield held[:chunk]
        held = held[chunk:]
