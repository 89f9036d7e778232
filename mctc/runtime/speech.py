"""A recording from end to end: audio, log-mel frames, encoder steps, search, and what each cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from fractions import Fraction
from pathlib import Path

import numpy as np

from mctc.audio.front_end import FrontEnd, existing_frames, frames_of, streaming
from mctc.audio.load import load_audio, stream_audio
from mctc.decode.endpoint import Endpointer
from mctc.decode.hypothesis import Hypothesis, Partial
from mctc.decode.settings import Settings
from mctc.driver.options import BuildError
from mctc.records import dataclass
from mctc.runtime.built import Built
from mctc.runtime.searched import recogniser
from mctc.runtime.stream import ChunkCost, Frames, Samples, SpeechStream
from mctc.runtime.utterances import Update, Utterances


@dataclass
class Transcript:
    """What came out of one recording, and at what cost. Times in seconds unless they say milliseconds.

    utterances: of each that has ended and in which anything was said, the hypotheses, the best first. partial: what is
    known of the one that goes on. frame_s: of an encoded frame. first_s: from the start of the audio until a first
    label was known, were the audio live.
    """

    utterances: list[tuple[Hypothesis, ...]] = field(default_factory=list)
    partial: Partial | None = None
    costs: list[ChunkCost] = field(default_factory=list)
    audio_s: float = 0.0
    frames: int = 0
    frame_s: float = 0.0
    first_s: float | None = None
    calls: Mapping[str, int] = field(default_factory=dict)  # of the functions that search

    @property
    def best(self) -> list[Hypothesis]:
        """The best hypothesis of each utterance that has ended."""
        return [hypotheses[0] for hypotheses in self.utterances]

    @property
    def emissions(self) -> list[tuple[int, int]]:
        """Each label of them, and the encoded frame at which it was emitted."""
        return [emission for best in self.best for emission in zip(best.ids, best.frames)]

    @property
    def first_late_s(self) -> float | None:
        """Seconds from the sound of the first label's frame until the label was known; None where nothing was said."""
        return (
            self.first_s - self.emissions[0][1] * self.frame_s if self.first_s is not None and self.emissions else None
        )

    @property
    def work_s(self) -> float:
        """Seconds of work."""
        return sum(cost.total for cost in self.costs)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work per second of audio."""
        return self.work_s / self.audio_s if self.audio_s else 0.0


Watcher = Callable[[Transcript], None]


def transcribe(
    built: Built,
    audio: Path,
    precision: str | None = None,
    settings: Settings | None = None,
    on_chunk: Watcher | None = None,
    checkpoint: Path | None = None,
) -> Transcript:
    """Streams a recording, as one utterance, through a build: a transducer, or an encoder with CTC. `on_chunk` sees
    every chunk.

    checkpoint: the trained weights, for a build whose files hold none. settings: of the search, greedy if left out.

    Raises AudioError for a recording that can't be read, BuildError for a build that takes no speech or for a recording
    that is longer than the one utterance it takes, and what the evaluator raises.
    """
    stream = SpeechStream(recogniser(built, precision, checkpoint), settings or Settings())
    return listen(stream, stream_audio(audio, stream.chunk_samples, stream.config.sample_rate), on_chunk)


def listen(
    stream: SpeechStream,
    blocks: Iterable[Samples],
    on_chunk: Watcher | None = None,
    endpointer: Endpointer | None = None,
) -> Transcript:
    """Blocks of samples at the front end's rate, to their end, as utterances: one ends where `endpointer` says so.

    `on_chunk` sees every chunk, and each utterance that ends. Raises as `transcribe`.
    """
    transcript = Transcript(frame_s=stream.frame_s)
    watch = on_chunk or (lambda _: None)

    def take(heard: Update) -> None:
        transcript.partial = partial = heard.partial
        if partial is None:
            transcript.utterances.append(heard.hypotheses)
        else:
            transcript.costs, transcript.audio_s = stream.costs, stream.audio_s
            transcript.frames, transcript.calls = partial.frames, stream.calls
            if transcript.first_s is None and partial.best.ids:
                transcript.first_s = stream.ready_s
        watch(transcript)

    utterances = Utterances(stream, endpointer)
    for block in blocks:
        for heard in utterances.push(block):
            take(heard)
    for heard in utterances.flush():
        take(heard)
    transcript.partial = None
    return transcript


def chunks_of(config: FrontEnd, audio: Path, chunk: int, once: bool = False) -> Iterator[tuple[Frames, int | Fraction]]:
    """Chunks of frames [chunk, bins] of a recording, and how many frames of each exist: of samples as they are a part,
    perhaps, of the last one. The last chunk is filled with zeros.

    once: a chunk is a whole utterance, filled with silence. Raises BuildError for a recording that is longer.
    """
    for number, (part, exist) in enumerate(_parts(config, audio, chunk)):
        if once and number:
            room = chunk * config.hop / config.sample_rate
            raise BuildError(f"{audio} is longer than an utterance, {room:g} s", hint="cut it where someone pauses")
        fill = config.silence if once else 0.0
        yield np.pad(part, ((0, chunk - len(part)), (0, 0)), constant_values=fill), exist


def _parts(config: FrontEnd, audio: Path, chunk: int) -> Iterator[tuple[Frames, int | Fraction]]:
    """The frames of a recording, `chunk` at a time, and how many of them exist; the last part may have fewer."""
    held: Frames = np.zeros((0, config.bins), np.float32)
    given = told = 0
    if config.streams:
        stream = streaming(config)
        for samples in stream_audio(audio, chunk * config.hop, config.sample_rate):
            held, given = np.concatenate([held, stream.push(samples)]), given + len(samples)
            while len(held) >= chunk:
                yield held[:chunk], chunk
                held, told = held[chunk:], told + chunk
        held = np.concatenate([held, stream.flush()])
    else:
        samples = load_audio(audio, config.sample_rate)
        held, given = frames_of(samples, config), len(samples)
    while len(held):
        left = existing_frames(given, config) - told
        yield held[:chunk], max(Fraction(0), min(Fraction(chunk), left))
        held, told = held[chunk:], told + chunk
