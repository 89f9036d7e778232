"""One utterance from end to end: audio, log-mel frames, encoder, search over labels, and what each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from mctc.audio.load import load_audio
from mctc.audio.mel import MelConfig, log_mel
from mctc.build.options import BuildError
from mctc.checkpoint import SafeTensors
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.ir.op import Array
from mctc.runtime.arrays import read_npy
from mctc.runtime.built import Built
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.stream import Samples, mel_of


@dataclass(frozen=True)
class Transcription:
    """The tokens of an utterance, and the seconds of audio and of work."""

    tokens: tuple[int, ...]
    audio_s: float
    mel_s: float
    encode_s: float
    search_s: float


@dataclass(frozen=True)
class Search:
    """From which tokens to start, the one to end at (below 0 where there is none), and how many to find at most."""

    start: tuple[int, ...]
    end: int
    longest: int


def transcribe_utterance(
    built: Built,
    audio: Path,
    search: Search,
    tables: Mapping[str, Array],
    precision: str | None = None,
    checkpoint: Path | None = None,
) -> Transcription:
    """A recording of at most one utterance, with silence behind it, through a build with an encoder and a decoder.

    Raises AudioError for a recording that can't be read, BuildError for a longer one or a build of another kind.
    """
    model, config = EncoderDecoder(built, tables, precision, checkpoint), mel_of(built)
    return transcribe_samples(model, config, load_audio(audio, config.sample_rate), search, str(audio))


def transcribe_samples(
    model: EncoderDecoder, config: MelConfig, samples: Samples, search: Search, name: str
) -> Transcription:
    """Samples at the front end's rate of at most one utterance, with silence behind them. Raises BuildError, which
    calls them `name`, for more."""
    started = perf_counter()
    seconds, room = len(samples) / config.sample_rate, model.utterance * config.hop
    if len(samples) > room:
        hint = "cut it where someone pauses"
        raise BuildError(f"{name} has {seconds:.1f} s, an utterance {room / config.sample_rate:g} s", hint=hint)
    mel = log_mel(np.pad(samples, (0, room - len(samples))), config)
    heard = perf_counter()
    model.hear(mel)
    coded = perf_counter()
    end = search.end if search.end >= 0 else None
    (found,) = label_beam(model, model.vocabulary, LabelSettings(tuple(search.start), end, search.longest, beam=1))
    return Transcription(found.ids, seconds, heard - started, coded - heard, perf_counter() - coded)


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
