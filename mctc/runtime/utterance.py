"""A recording through an encoder and an attention decoder: log-mel frames, encoder, search over labels, and what each
cost. One utterance, or window after window of a longer recording where the decoder tells times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mctc.audio.front_end import FrontEnd, existing_frames, frames_of
from mctc.audio.load import load_audio
from mctc.build.options import BuildError
from mctc.checkpoint import SafeTensors
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.decode.label_rules import LeftOut, Rule, Times
from mctc.ir.op import Array
from mctc.runtime.arrays import read_npy
from mctc.runtime.built import Built
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.segments import Segment, segments
from mctc.runtime.stream import Samples, front_end_of
from mctc.tokens.times import TimeTokens, times_of

USUAL = 200  # most labels of an utterance, where the decoder's cache says no other number


@dataclass(frozen=True)
class Transcription:
    """The labels of a recording, its parts where there are times, and the seconds of audio and of work."""

    tokens: tuple[int, ...]
    audio_s: float
    mel_s: float
    encode_s: float
    search_s: float
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Search:
    """From which labels to start, the one to end at (below 0 where there is none), how many to find at most (None: as
    many as the decoder goes on for), and whether to tell times."""

    start: tuple[int, ...]
    end: int
    longest: int | None = None
    times: bool = False


@dataclass
class Heard:
    """What came of one window after another, and the seconds of work."""

    labels: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    encode_s: float = 0.0
    search_s: float = 0.0


def transcribe_utterance(
    built: Built,
    audio: Path,
    search: Search,
    tables: Mapping[str, Array],
    precision: str | None = None,
    checkpoint: Path | None = None,
) -> Transcription:
    """A recording through a build with an encoder and a decoder: of at most one utterance, with silence behind it, or
    with times of any length.

    Raises AudioError for a recording that can't be read, BuildError for a longer one, a build of another kind, and
    times of one whose tokens are none.
    """
    model, config = EncoderDecoder(built, tables, precision, checkpoint), front_end_of(built)
    return transcribe_samples(model, config, load_audio(audio, config.sample_rate), search, str(audio))


def transcribe_samples(
    model: EncoderDecoder, config: FrontEnd, samples: Samples, search: Search, name: str
) -> Transcription:
    """Samples at the front end's rate, which errors call `name`. Raises BuildError as above."""
    built, started = model.built, perf_counter()
    times = _times(built, search)
    seconds, room = len(samples) / config.sample_rate, model.utterance * config.hop
    if len(samples) > room and times is None:
        told = f"{name} has {seconds:.1f} s, an utterance {room / config.sample_rate:g} s"
        raise BuildError(told, hint=_shorter(built))
    mel = _frames(model, config, samples)
    mel_s, heard = perf_counter() - started, Heard()
    if times is None:
        exist = existing_frames(len(samples), config)
        heard.labels += _window(model, mel, _settings(model, search), heard, exist)
    else:
        _windows(model, mel, seconds, _settings(model, search, times), times, config, heard)
    return Transcription(
        tuple(heard.labels), seconds, mel_s, heard.encode_s, heard.search_s, tuple(heard.segments)
    )  # fmt: skip


def _frames(model: EncoderDecoder, config: FrontEnd, samples: Samples) -> NDArray[np.float32]:
    """Frames of an utterance at least. Behind the recording is silence, and frames of no sound where the model is told
    which frames exist."""
    if model.told is None:
        room = model.utterance * config.hop
        return frames_of(np.pad(samples, (0, max(0, room - len(samples)))), config)
    frames = frames_of(samples, config)
    return np.pad(frames, ((0, max(0, model.utterance - len(frames))), (0, 0)), constant_values=config.silence)


def _windows(
    model: EncoderDecoder, mel: NDArray[np.float32], seconds: float, settings: LabelSettings, times: TimeTokens,
    config: FrontEnd, heard: Heard,
) -> None:  # fmt: skip
    """Window after window, each from where the one before was certain; behind the end of the recording zeros."""
    begun, room = 0, model.utterance
    while begun < seconds * config.frame_rate:
        window = mel[begun : begun + room]
        exist = Fraction(len(window))
        labels = _window(model, np.pad(window, ((0, room - len(window)), (0, 0))), settings, heard, exist)
        parts, later = segments(
            labels, times.zero, times.step_s, begun / config.frame_rate, len(window) / config.frame_rate
        )
        heard.segments += parts
        heard.labels += [label for part in parts for label in part.labels]
        begun += max(1, round(later * config.frame_rate))


def _window(
    model: EncoderDecoder, mel: NDArray[np.float32], settings: LabelSettings, heard: Heard, exist: Fraction
) -> tuple[int, ...]:  # fmt: skip
    """The labels of an utterance of frames [frames, bins], of which the first `exist` are of the recording."""
    started = perf_counter()
    model.hear(mel, exist)
    coded = perf_counter()
    (found,) = label_beam(model, model.vocabulary, settings)
    heard.encode_s += coded - started
    heard.search_s += perf_counter() - coded
    return found.ids


def _settings(model: EncoderDecoder, search: Search, times: TimeTokens | None = None) -> LabelSettings:
    """A greedy search that leaves out what the tokens of the build say."""
    prompt = [label for label in search.start if times is None or label != times.without]
    end = search.end if search.end >= 0 else None
    room = USUAL if model.longest is None else model.longest - len(prompt)
    rules: list[Rule] = []
    tokens = model.built.tokens
    if tokens is not None:
        pairs = ((tokens.never, False), (tokens.not_first, True))
        rules += [LeftOut(labels, first) for labels, first in pairs if labels]
    if times is not None:
        rules.append(Times(times.zero, times.zero if end is None else end, round(1 / times.step_s), times.without))
    longest = max(1, room) if search.longest is None else search.longest
    return LabelSettings(tuple(prompt), end, longest, beam=1, rules=tuple(rules))


def _times(built: Built, search: Search) -> TimeTokens | None:
    if not search.times:
        return None
    found = None if built.tokens is None else times_of(built.tokens)
    if found is None:
        hint = "such are <|0.00|>, <|0.02|>, ... at the end of a tokenizer.json: mctc build --tokens FILE"
        raise BuildError(f"{built.folder} has no tokens of times, so it tells none", hint=hint)
    return found


def _shorter(built: Built) -> str:
    if built.tokens is not None and times_of(built.tokens) is not None:
        return "--timestamps goes through it window after window; or cut it where someone pauses"
    return "cut it where someone pauses"


def read_tables(texts: Sequence[str]) -> dict[str, Array]:
    """'token=rows.npy' and 'token=weights.safetensors:decoder.tokens' as arrays by input. Raises BuildError."""
    tables: dict[str, Array] = {}
    for text in texts:
        name, equals, place = text.partition("=")
        file, colon, tensor = place.rpartition(":")
        if not equals or not (place.endswith(".npy") or (colon and tensor)):
            raise BuildError(f"{text!r} names no table", hint="INPUT=FILE.npy or INPUT=WEIGHTS.safetensors:NAME")
        if place.endswith(".npy"):
            tables[name] = read_npy(Path(place))
            continue
        weights = SafeTensors(Path(file))
        if tensor not in weights.shapes:
            raise BuildError(f"{file} has no tensor {tensor}")
        tables[name] = weights.read(tensor)
    return tables
