"""What a command line asks of transcripts."""

from __future__ import annotations

from pathlib import Path

from mctc.records import dataclass


@dataclass(frozen=True)
class TranscriptRequest:
    """How transcripts are asked for. form: text, json, srt, vtt or ctm. several: whether there are more recordings than
    one. output: where the transcript is written; standard output if None."""

    form: str = "text"
    stats: bool = False
    several: bool = False
    output: Path | None = None
