"""What was said in a recording, whatever kind of build heard it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mctc.audio.load import load_audio, resampler, stream_audio
from mctc.decode.endpoint import USUAL
from mctc.decode.timed import TimedWord
from mctc.records import dataclass
from mctc.runtime.events import Audio, checked_rate, mono
from mctc.runtime.speech import Transcript
from mctc.runtime.stream import Samples
from mctc.tokens import Tokens
from mctc.transcript.words import words_of

if TYPE_CHECKING:
    from mctc.runtime.utterance import Transcription

RECORDED = tuple(rule for rule in USUAL if rule.silence_s)
"""Where an utterance of a recording ends: at silence alone, however long it is."""


@dataclass(frozen=True)
class Passage:
    """A part of a recording from `start` to `end` in seconds, and what was said in it."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Recognition:
    """What was said. words: with their times in seconds; none of a build that tells no times of words. passages: the
    utterances, or what a decoder tells times of. language: what a text says of itself; None where it says nothing.
    seconds: of audio, and of work."""

    text: str
    words: tuple[TimedWord, ...]
    passages: tuple[Passage, ...]
    language: str | None
    audio_s: float
    work_s: float

    def __str__(self) -> str:
        return self.text


def of_frames(tokens: Tokens, found: Transcript) -> Recognition:
    """Of a search over frames: a transducer's, or CTC's."""
    said = [(tokens.text(best.ids), words_of(tokens, best, found.frame_s)) for best in found.best]
    passages = tuple(Passage(words[0].start, words[-1].end, text) for text, words in said if words)
    words = tuple(word for _, words in said for word in words)
    return Recognition(" ".join(text for text, _ in said), words, passages, None, found.audio_s, found.work_s)


def of_labels(tokens: Tokens, found: Transcription) -> Recognition:
    """Of an attention decoder."""
    parts = found.segments or found.pieces
    passages = tuple(Passage(part.start, part.end, tokens.text(part.labels)) for part in parts)
    work_s = found.mel_s + found.encode_s + found.search_s
    return Recognition(found.text(tokens), (), passages, found.language(tokens), found.audio_s, work_s)


def blocks(audio: Path | str | Audio, rate: int, wanted: int, size: int) -> Iterator[Samples]:
    """A recording, or samples at a rate, in blocks at the rate that is wanted. Raises AudioError, and
    SamplesError for samples that are no sound."""
    if isinstance(audio, (str, Path)):
        yield from stream_audio(audio, size, wanted)
    else:
        yield resampler(checked_rate(rate), wanted, "the audio")(mono(audio), True)


def samples(audio: Path | str | Audio, rate: int, wanted: int) -> Samples:
    """All of it at once."""
    if isinstance(audio, (str, Path)):
        return load_audio(audio, wanted)
    return np.concatenate([*blocks(audio, rate, wanted, 1)])
