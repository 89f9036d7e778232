"""A recording through an encoder and an attention decoder: log-mel frames, encoder, search over labels, and what each
cost. One utterance; window after window of a longer recording where the decoder tells times; or piece after piece where
frames stand among the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mctc.audio.front_end import FrontEnd, existing_frames, frames_of
from mctc.audio.load import load_audio
from mctc.audio.quiet import cuts
from mctc.checkpoint import SafeTensors
from mctc.decode.attempts import COOL, Attempt, attempt, no_speech
from mctc.decode.label_beam import LabelSettings, label_beam
from mctc.decode.label_rules import LabelRule, LeftOut, Times
from mctc.decode.label_sample import Noise
from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.runtime.arrays import read_npy
from mctc.runtime.built import Built
from mctc.runtime.decoding import Search
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.heading import language_of, parted
from mctc.runtime.segments import Segment, segments
from mctc.runtime.stream import Samples, front_end_of
from mctc.tokens import Tokens
from mctc.tokens.times import TimeTokens, times_of
from mctc.transcript.joined import joined

PREVIOUS = ("<|startofprev|>",)  # what stands in front of a text before
NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")  # what says that nobody speaks
OPTIONS = {PREVIOUS: "--previous", NO_SPEECH: "--no-speech-limit"}
USUAL = 200  # most labels of an utterance, where the decoder's cache says no other number
LONGEST_S = 1200  # of a piece, as Qwen3-ASR's published code cuts recordings
FRAMES = 2 / 3  # of the decoder's cache, for frames that stand among labels; the rest is for the text


@dataclass(frozen=True)
class Part:
    """A piece of a recording from `start` to `end` in seconds: the labels of its text, and of what they say of
    themselves."""

    start: float
    end: float
    labels: tuple[int, ...]
    heading: tuple[int, ...] = ()


@dataclass(frozen=True)
class Transcription:
    """The labels of a recording, its parts where there are times, its pieces where it had to be cut, and the seconds of
    audio and of work."""

    tokens: tuple[int, ...]
    audio_s: float
    mel_s: float
    encode_s: float
    search_s: float
    segments: tuple[Segment, ...] = ()
    pieces: tuple[Part, ...] = ()

    def text(self, tokens: Tokens) -> str:
        """What was said, without what the text says of itself."""
        texts = [tokens.text(piece.labels) for piece in self.pieces]
        return joined(texts) if self.pieces else tokens.text(self.tokens)

    def language(self, tokens: Tokens) -> str | None:
        """The language that the text names; of several pieces, each that is another than the one before."""
        named = [name for piece in self.pieces if (name := language_of(tokens, piece.heading))]
        return ",".join(name for name, _ in groupby(named)) or None


@dataclass
class Accumulated:
    """What came of one window after another, and the seconds of work."""

    labels: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    pieces: list[Part] = field(default_factory=list)
    mel_s: float = 0.0
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
    """A recording through a build with an encoder and a decoder: of at most one utterance, with silence behind it; with
    times, or where frames stand among the labels, of any length.

    Raises AudioError for a recording that can't be read, BuildError for a longer one, a build of another kind, and
    times of one whose tokens are none.
    """
    model, config = EncoderDecoder(built, tables, precision, checkpoint), front_end_of(built)
    return transcribe_samples(model, config, load_audio(audio, config.sample_rate), search, str(audio))


def transcribe_samples(
    model: EncoderDecoder, config: FrontEnd, samples: Samples, search: Search, name: str
) -> Transcription:
    """Samples at the front end's rate, which errors call `name`. Raises BuildError as above."""
    times, heard = _times(model.built, search), Accumulated()
    seconds, room = len(samples) / config.sample_rate, model.utterance and config.samples(model.utterance)
    if room is not None and len(samples) > room and times is None:
        told = f"{name} has {seconds:.1f} s, an utterance {room / config.sample_rate:g} s"
        raise BuildError(told, hint=_shorter(model.built))
    if model.frames_a_label is not None:
        _pieces(model, config, samples, search, heard)
    else:
        frames = _frames(model, config, samples, heard)
        if times is None:
            _piece(model, frames, search, (0.0, seconds), heard, existing_frames(len(samples), config))
        else:
            _windows(model, frames, seconds, search, times, config, heard)
    return Transcription(
        tuple(heard.labels), seconds, heard.mel_s, heard.encode_s, heard.search_s, tuple(heard.segments),
        tuple(heard.pieces),
    )  # fmt: skip


def _pieces(model: EncoderDecoder, config: FrontEnd, samples: Samples, search: Search, heard: Accumulated) -> None:
    """Piece after piece of what the decoder's cache has room for, each of its own."""
    rate, prompt = config.sample_rate, len(search.before) + len(search.start)
    longest = LONGEST_S * rate
    if model.longest is not None:
        frames = int(FRAMES * (model.longest - prompt)) * (model.frames_a_label or 1)
        longest = min(longest, config.samples(int(frames)))
        if longest < rate:
            told = f"behind {prompt} labels of a prompt a cache of {model.longest} has no room for a second of sound"
            raise BuildError(told, hint="build with more: `utterance { labels = ... }`")
    for begin, end in cuts(samples, rate, longest):
        started = perf_counter()
        sound = frames_of(samples[begin:end], config)
        heard.mel_s += perf_counter() - started
        if len(sound):
            _piece(model, sound, search, (begin / rate, end / rate), heard, Fraction(len(sound)))


def _frames(model: EncoderDecoder, config: FrontEnd, samples: Samples, heard: Accumulated) -> NDArray[np.float32]:
    """Frames of an utterance at least. Behind the recording is silence, and frames of no sound where the model is told
    which frames exist."""
    started, utterance = perf_counter(), model.utterance or 0
    if model.told is None:
        frames = frames_of(np.pad(samples, (0, max(0, config.samples(utterance) - len(samples)))), config)
    else:
        frames = frames_of(samples, config)
        frames = np.pad(frames, ((0, max(0, utterance - len(frames))), (0, 0)), constant_values=config.silence)
    heard.mel_s += perf_counter() - started
    return frames


def _piece(
    model: EncoderDecoder, frames: NDArray[np.float32], search: Search, place: tuple[float, float], heard: Accumulated,
    exist: Fraction,
) -> None:  # fmt: skip
    labels = _window(model, frames, search, None, heard, exist)
    prefix = search.start[len(search.start) - search.prefix :]
    heading, text = parted((*prefix, *labels), search.heading)
    heard.labels += labels
    heard.pieces.append(Part(*place, text, heading))


def _windows(
    model: EncoderDecoder, mel: NDArray[np.float32], seconds: float, search: Search, times: TimeTokens,
    config: FrontEnd, heard: Accumulated,
) -> None:  # fmt: skip
    """Window after window, each from where the one before was certain; behind the end of the recording zeros.

    One in which nobody speaks is left out. The text before goes into a prompt if its last window was decoded cool.
    """
    begun, room, cool, noise = 0, model.utterance or 0, True, np.random.default_rng(0)
    while begun < seconds * config.frame_rate:
        window = mel[begun : begun + room]
        padded = np.pad(window, ((0, room - len(window)), (0, 0)))
        before = heard.labels if search.attempts.previous and cool else []
        found = _attempt(model, padded, search, times, heard, Fraction(len(window)), before, noise)
        cool, labels = found.temperature < COOL, found.labels
        if labels is None:
            begun += len(window)
            continue
        parts, later = segments(
            labels, times.zero, times.step_s, begun / config.frame_rate, len(window) / config.frame_rate
        )
        heard.segments += parts
        heard.labels += [label for part in parts for label in part.labels]
        begun += max(1, round(later * config.frame_rate))


def _attempt(
    model: EncoderDecoder, mel: NDArray[np.float32], search: Search, times: TimeTokens, heard: Accumulated,
    exist: Fraction, before: Sequence[int], noise: Noise,
) -> Attempt:  # fmt: skip
    """What a window of frames [frames, bins] says, as sound as it gets; `before` are the labels of the text before."""
    started = perf_counter()
    model.hear(mel, exist, search.before)
    coded = perf_counter()
    prompt, silence = _previous(model, before) if before else (), 0.0
    settings = _settings(model, search, times, prompt)
    if search.attempts.silence is not None:
        nobody = _named(model, NO_SPEECH)
        silence = no_speech(model, model.vocabulary, settings.prompt, nobody, search.start[0])
    found = attempt(model, model.vocabulary, settings, search.attempts, noise, silence)
    heard.encode_s += coded - started
    heard.search_s += perf_counter() - coded
    return found


def _previous(model: EncoderDecoder, before: Sequence[int]) -> tuple[int, ...]:
    """The end of a text before, as it stands in front of a prompt: less than half of what the decoder goes on for."""
    longest = USUAL if model.longest is None else model.longest
    return _named(model, PREVIOUS), *before[-(max(1, longest // 2 - 1)) :]


def _named(model: EncoderDecoder, names: tuple[str, ...]) -> int:
    """A special token by the first of these names that the build has. Raises BuildError where it has none."""
    special = {} if model.built.tokens is None else model.built.tokens.special
    found = [label for name in names for label, called in special.items() if called == name]
    if not found:
        raise BuildError(f"the tokens of {model.built.folder} have no {names[0]}", hint=f"leave {OPTIONS[names]} out")
    return found[0]


def _window(
    model: EncoderDecoder, mel: NDArray[np.float32], search: Search, times: TimeTokens | None, heard: Accumulated,
    exist: Fraction,
) -> tuple[int, ...]:  # fmt: skip
    """The labels of an utterance of frames [frames, bins], of which the first `exist` are of the recording."""
    started = perf_counter()
    model.hear(mel, exist, search.before)
    coded = perf_counter()
    (found,) = label_beam(model, model.vocabulary, _settings(model, search, times))
    heard.encode_s += coded - started
    heard.search_s += perf_counter() - coded
    return found.ids


def _settings(
    model: EncoderDecoder, search: Search, times: TimeTokens | None, previous: Sequence[int] = ()
) -> LabelSettings:
    """A greedy search, of what has been heard, that leaves out what the tokens of the build say. previous: labels in
    front of the prompt."""
    prompt = [*previous, *(label for label in search.start if times is None or label != times.without)]
    end = search.end if search.end >= 0 else None
    room = model.room(prompt)
    rules: list[LabelRule] = []
    tokens = model.built.tokens
    if tokens is not None:
        pairs = ((tokens.never, False), (tokens.not_first, True))
        rules += [LeftOut(labels, first) for labels, first in pairs if labels]
    if times is not None:
        rules.append(Times(times.zero, times.zero if end is None else end, round(1 / times.step_s), times.without))
    longest = max(1, USUAL if room is None else room) if search.longest is None else search.longest
    return LabelSettings(tuple(prompt), end, longest, beam=1, rules=tuple(rules), ends=search.ends)


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
