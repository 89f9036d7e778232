"""`mctc run` of builds without a search over frames: attention decoders, results without time, and over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mctc.cli.recording import Recording, Source
from mctc.diagnostics.errors import UsageError

if TYPE_CHECKING:
    from mctc.cli.requests import TranscriptRequest
    from mctc.runtime.built import Built
    from mctc.runtime.decoding import Asked

Made = str | Mapping[str, bytes]
"""What is made of a recording: text, or a WAV file of each result that is sound, by the results' names."""
Hear = Callable[[Source, "TranscriptRequest"], Made]


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
    from mctc.cli.run_report import pooled_lines, pooled_record, tell_of_numbers
    from mctc.runtime.pooled import pool

    def hear(source: Source, wanted: TranscriptRequest) -> str:
        audio = _whole(source, wanted)
        found = pool(built, audio.path, precision, weights)
        if wanted.form == "text":
            tell_of_numbers(built)
        if wanted.form == "json":
            return _json(pooled_record(built, audio.name, precision, found), wanted)
        return "".join(f"{line}\n" for line in pooled_lines(built, audio.name, precision, found))

    return hear


def framed(built: Built, precision: str | None, weights: Path | None) -> Hear:
    """Hears with a build that gives numbers for each frame, or sound."""
    from mctc.audio.written import wav_of
    from mctc.cli.run_report import framed_lines, framed_record, tell_of_numbers, tell_of_other_results
    from mctc.runtime.framed import frames_over, sound_rate

    rate = sound_rate(built)

    def hear(source: Source, wanted: TranscriptRequest) -> Made:
        audio = _whole(source, wanted)
        sound = rate is not None and wanted.form == "text"
        if sound and wanted.output is None:
            raise UsageError("this build makes sound", hint="--output FILE.wav says where, or --json for its numbers")
        found = frames_over(built, audio.path, precision, weights)
        if sound:
            assert rate is not None, "sound has a rate"
            made = [each for each in found.series if found.is_sound(each)]
            length = round(found.audio_s * rate)  # that of the recording, which fills no frame at its end
            files = {each.name: wav_of(each.frames.reshape(-1)[:length], rate) for each in made}
            tell_of_other_results([each.name for each in found.series if each.name not in files] + [*found.left_out])
            return files
        tell_of_numbers(built, found.left_out)
        if wanted.form == "json":
            return _json(framed_record(built, audio.name, precision, found), wanted)
        return "".join(f"{line}\n" for line in framed_lines(found))

    return hear


def _whole(source: Source, wanted: TranscriptRequest, timed: bool | None = None) -> Recording:
    """timed: whether times of words are asked for, of a build that can say them; None of one without words."""
    if not isinstance(source, Recording):
        raise UsageError(
            "this build gives no text as it hears, so it can't hear sound that has no end yet",
            hint="write the sound into a file first, or pipe a whole sound file: mctc run BUILD - < talk.wav",
        )
    if wanted.form not in ("text", "json", *(("srt", "vtt") if timed else ())):
        hint = None if timed is None else "--timestamps tells when each part was said, for srt and vtt"
        raise UsageError(f"this build says no times of words, so there is no --format {wanted.form}", hint=hint)
    return source


def _json(record: dict[str, Any], wanted: TranscriptRequest) -> str:
    import json

    return json.dumps(record, indent=None if wanted.several else 2, ensure_ascii=False) + "\n"
