"""Transcripts as files: SubRip (srt), WebVTT (vtt) and NIST's time-marked words (ctm)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from mctc.decode.timed import TimedWord
from mctc.transcript.cues import cues


def as_srt(words: Sequence[TimedWord], audio: str) -> str:
    """Numbered cues with times to the millisecond, a comma in them."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(cues(words), 1)
    ]
    return "\n".join(blocks)


def as_vtt(words: Sequence[TimedWord], audio: str) -> str:
    """WebVTT (W3C), its cues escaped as its text has to be."""
    blocks = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + escape("\n".join(cue.lines), quote=False) + "\n"
        for cue in cues(words)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def as_ctm(words: Sequence[TimedWord], audio: str) -> str:
    """A line for each word: recording, channel, start and duration in seconds, the word, its confidence."""
    name = "_".join(Path(audio).stem.split()) or "audio"
    return "".join(
        f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n" for word in words
    )


FORMATS: Mapping[str, Callable[[Sequence[TimedWord], str], str]] = {"srt": as_srt, "vtt": as_vtt, "ctm": as_ctm}
"""What writes words of a recording of some name, by the name of the form."""


def _clock(seconds: float, point: str) -> str:
    """'00:00:01,250'."""
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
