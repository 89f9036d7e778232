"""What is scored: a piece of a recording, and what was said in it."""

from __future__ import annotations

from pathlib import Path

from mctc.records import dataclass


@dataclass(frozen=True)
class SaidWord:
    """A word, and when it ends: seconds from the start of the utterance."""

    text: str
    end: float


@dataclass(frozen=True)
class Utterance:
    """text: what was said. place: where that is written, "FILE:LINE". start, duration: seconds of the piece in its
    recording; to its end if None. words: those whose ends are known. rate: of the recording in Hz, and channel: the one
    that is meant, where the manifest says so. weight: how often an epoch of training takes it; a score counts it
    once."""

    id: str
    audio: Path
    text: str
    place: str
    start: float = 0.0
    duration: float | None = None
    words: tuple[SaidWord, ...] = ()
    rate: int | None = None
    channel: int | None = None
    weight: float = 1.0
