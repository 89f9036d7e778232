"""`mctc run` of builds that take a whole utterance: attention decoders, and results without time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mctc.cli.recording import Recording, Source
from mctc.diagnostics.errors import UsageError

if TYPE_CHECKING:
    from mctc.cli.requests import TranscriptRequest
    from mctc.runtime.built import Built
    from mctc.runtime.decoding import Asked

Hear = Callable[[Source, "TranscriptRequest"], str]


def utterance(
    built: Built, asked: Asked, *, tables: tuple[str, ...], precision: str | None, weights: Path | None
) -> Hear:  # fmt: skip
    """Hears with an attention decoder. Raises UsageError where what it starts and ends with isn't said."""
    from mctc.cli.run_report import utterance_record, utterance_text
    from mctc.runtime.decoding import search_of
    from mctc.runtime.utterance import read_tables, transcribe_utterance

    search, rows = search_of(built, asked), read_tables(tables)

    def hear(source: Source, wanted: TranscriptRequest) -> str:
        audio = _whole(source, wanted, asked.times)
        found = transcribe_utterance(built, audio.path, search, rows, precision, weights)
        if wanted.form == "json":
            return _json(utterance_record(built, audio.name, precision, found), wanted)
        return utterance_text(built, audio.name, precision, found, wanted)

    return hear


def pooled(built: Built, precision: str | None, weights: Path | None) -> Hear:
    """Hears with a build whose results have no time."""
    from mctc.cli.run_report import pooled_lines, pooled_record
    from mctc.runtime.pooled import pool

    def hear(source: Source, wanted: TranscriptRequest) -> str:
        audio = _whole(source, wanted)
        found = pool(built, audio.path, precision, weights)
        if wanted.form == "json":
            return _json(pooled_record(built, audio.name, precision, found), wanted)
        return "".join(f"{line}\n" for line in pooled_lines(built, audio.name, precision, found))

    return hear


def _whole(source: Source, wanted: TranscriptRequest, timed: bool = False) -> Recording:
    if not isinstance(source, Recording):
        raise UsageError("this build takes whole utterances, so it can't hear sound that has no end yet")
    if wanted.form not in ("text", "json", *(("srt", "vtt") if timed else ())):
        hint = "--timestamps tells when each part was said, for srt and vtt"
        raise UsageError(f"this build says no times of words, so there is no --format {wanted.form}", hint=hint)
    return source


def _json(record: dict[str, Any], wanted: TranscriptRequest) -> str:
    import json

    return json.dumps(record, indent=None if wanted.several else 2, ensure_ascii=False) + "\n"
