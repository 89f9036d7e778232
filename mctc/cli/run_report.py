"""What `mctc run` says about a recording: the whole result for tools, cost and latency for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from mctc.decode.timed import TimedWord
from mctc.runtime.built import Built
from mctc.runtime.framed import Framed
from mctc.runtime.heading import language_of
from mctc.runtime.pooled import Pooled
from mctc.runtime.speech import Transcript
from mctc.tokens import Tokens
from mctc.transcript.formats import FORMATS
from mctc.transcript.words import printable

if TYPE_CHECKING:
    from mctc.cli.requests import TranscriptRequest
    from mctc.runtime.utterance import Part, Transcription

FIRST = 6  # numbers, or classes, of a result without time


def as_record(
    built: Built,
    audio: str,
    precision: str | None,
    transcript: Transcript,
    text: str | None,
    words: Sequence[TimedWord],
    *,
    stats: bool,
) -> dict[str, Any]:
    """The whole result, for tools. Times in milliseconds unless they say seconds; costs of each chunk with `stats`.

    text: None where labels mean nothing or aren't named.
    """
    first, late = transcript.first_s, transcript.first_late_s
    record = {
        "model": built.model,
        "audio": audio,
        "audio_s": transcript.audio_s,
        "text": text,
        "words": [
            {
                "word": w.text,
                "start_s": round(w.start, 3),
                "end_s": round(w.end, 3),
                "confidence": round(w.confidence, 4),
            }
            for w in words
        ],
        "precision": precision or built.precision,
        "runtime": built.target.runtime,
        "untrained_seed": built.seed,
        "chunk_frames": built.chunk,
        "latency_ms": latency_ms(built),
        "real_time_factor": transcript.real_time_factor,
        "first_label_s": first,
        "first_label_late_ms": None if late is None else 1000 * late,
        "tokens": [{"token": token, "frame": frame} for token, frame in transcript.emissions],
    }
    return {**record, **_costs(transcript)} if stats else record


def _costs(transcript: Transcript) -> dict[str, Any]:
    costs = transcript.costs
    return {
        "chunks": [{"mel_ms": 1000 * c.mel, "encode_ms": 1000 * c.encode, "search_ms": 1000 * c.search} for c in costs],
        "encoded_frames": transcript.frames,
        "calls": {"encoder": len(costs), **transcript.calls},
    }


def summary(transcript: Transcript) -> str:
    """Speed and delay in one line."""
    text = f"{transcript.audio_s:.1f} s of audio, real-time factor {transcript.real_time_factor:.2f}"
    late = transcript.first_late_s
    return text if late is None else f"{text}, first word {1000 * late:.0f} ms after its sound"


def cost_lines(built: Built, audio: str, precision: str | None, transcript: Transcript) -> list[str]:
    """Cost and latency in a few lines of at most 80 columns."""
    costs = transcript.costs
    chunk = f"{built.chunk} frames" if built.rate is None else f"{float(1000 * built.chunk / built.rate):g} ms"
    latency = latency_ms(built)
    by = f"{precision or built.precision}, {built.target.runtime}"
    text = [f"{built.model} over {Path(audio).name}: {transcript.audio_s:.2f} s of audio, {by}"]
    if costs:
        text.append(f"  {len(costs)} chunk{'s' * (len(costs) != 1)} of {chunk}, each in the median (at most):")
        text += [
            f"    {name:18}{_milliseconds([getattr(cost, key) for cost in costs])}"
            for name, key in (("log-mel frames", "mel"), ("encoder step", "encode"), ("search", "search"))
        ]
    text.append(f"  real-time factor {transcript.real_time_factor:.3f} on this machine")
    if latency is not None:
        text.append(f"  algorithmic latency {latency:g} ms: the chunk and what the encoder looks ahead")
    if transcript.first_s is not None and transcript.first_late_s is not None:
        told = f"{transcript.first_s:.2f} s, {1000 * transcript.first_late_s:.0f} ms after its sound"
        text.append(f"  first word after {told}, were the audio live")
    called = " and ".join(f"{count} {name}" for name, count in transcript.calls.items())
    found = f"  {transcript.frames} encoded frames, {len(transcript.emissions)} labels"
    return [*text, f"{found}; {called} calls" if called else found]


def utterance_record(built: Built, audio: str, precision: str | None, found: Transcription) -> dict[str, Any]:
    """A whole utterance's result, for tools."""
    about = {"model": built.model, "audio": audio, "precision": precision or built.precision}
    tokens = None if built.seed is not None else built.tokens
    text = None if tokens is None else found.text(tokens)
    pieces = [_piece(piece, tokens) for piece in found.pieces]
    parts = [{**asdict(part), "text": tokens and tokens.text(part.labels)} for part in found.segments]
    record = {**about, "runtime": built.target.runtime, "untrained_seed": built.seed, "text": text, **asdict(found)}
    return {**record, "language": tokens and found.language(tokens), "segments": parts, "pieces": pieces}


def _piece(piece: Part, tokens: Tokens | None) -> dict[str, Any]:
    told = {"text": tokens and tokens.text(piece.labels), "language": tokens and language_of(tokens, piece.heading)}
    return {**asdict(piece), **told}


def utterance_text(
    built: Built, audio: str, precision: str | None, found: Transcription, wanted: TranscriptRequest
) -> str:
    """What was said, or the numbers of it where the build has no tokens; what it cost goes to standard error."""
    from mctc.cli.verbosity import Verbosity, verbosity

    told, quiet = list[str](), verbosity() is Verbosity.QUIET
    if wanted.stats:
        by = f"{precision or built.precision}, {built.target.runtime}"
        told.append(f"{built.model} over {Path(audio).name}: {found.audio_s:.2f} s of audio, {by}")
        told.append(f"  log-mel {found.mel_s:.2f} s, encoder {found.encode_s:.2f} s, search {found.search_s:.2f} s")
    told += untrained(built, "labels") if built.seed is not None and not quiet else []
    for line in told:
        click.echo(line, err=True)
    if built.seed is not None:
        return ""
    if wanted.form != "text" and built.tokens is not None:
        return FORMATS[wanted.form](_parts(built, found), audio)
    text = " ".join(map(str, found.tokens)) if built.tokens is None else printable(found.text(built.tokens))
    return f"{audio}\t{text}\n" if wanted.several else f"{text}\n"


def _parts(built: Built, found: Transcription) -> list[TimedWord]:
    """The parts of a text between its times, as subtitles show them; how sure they are isn't known."""
    tokens = built.tokens
    if tokens is None:
        return []
    texts = [printable(tokens.text(part.labels)) for part in found.segments]
    return [TimedWord(text, p.start, p.end, math.nan) for text, p in zip(texts, found.segments, strict=True) if text]


def pooled_record(built: Built, audio: str, precision: str | None, found: Pooled) -> dict[str, Any]:
    """Results without time, for tools."""
    about = {"model": built.model, "audio": audio, "precision": precision or built.precision}
    times = {"audio_s": found.audio_s, "mel_s": found.mel_s, "model_s": found.model_s}
    results = {name: array.tolist() for name, array in found.results.items()}
    return {**about, "runtime": built.target.runtime, "untrained_seed": built.seed, **times, "results": results}


def pooled_lines(built: Built, audio: str, precision: str | None, found: Pooled) -> list[str]:
    """The same in a few lines of at most 80 columns: the best classes of scores, the first numbers of anything else."""
    by = f"{precision or built.precision}, {built.target.runtime}"
    text = [f"{built.model} over {Path(audio).name}: {found.audio_s:.2f} s of audio, {by}"]
    text.append(f"  log-mel {found.mel_s:.2f} s, model {found.model_s:.2f} s")
    for name, array in found.results.items():
        flat = array.ravel()
        told = " ".join(f"{number:.4g}" for number in flat[:FIRST])
        if name in found.scores and array.ndim == 1:
            best = (int(entry) for entry in np.argsort(-flat)[:FIRST])
            told = "best " + ", ".join(f"{_class(built, entry)} ({flat[entry]:.4g})" for entry in best)
        more = " ..." if flat.size > FIRST else ""
        shape = " x ".join(map(str, array.shape)) or "a number"
        spread = f", length {float(np.linalg.norm(flat)):.4g}" if array.ndim and name not in found.scores else ""
        text += wrap(f"{name} ({shape}{spread}): {told}{more}", 78, initial_indent="  ", subsequent_indent="    ")
    return text


def _class(built: Built, entry: int) -> str:
    """What a class of the vocabulary stands for, or its number where no token says."""
    return ("" if built.tokens is None else printable(built.tokens.text([entry]))) or str(entry)


def framed_record(built: Built, audio: str, precision: str | None, found: Framed) -> dict[str, Any]:
    """Results over time, for tools; the seconds of a frame are the first one's, and of each by its name."""
    about = {"model": built.model, "audio": audio, "precision": precision or built.precision}
    lasting = {each.name: float(1 / each.rate) for each in found.series}
    times = {"audio_s": found.audio_s, "model_s": found.model_s, "frame_s": next(iter(lasting.values()))}
    results = {each.name: each.frames.tolist() for each in found.series}
    lengths = {"frames_s": lasting} if len(lasting) > 1 else {}
    return {
        **about,
        "runtime": built.target.runtime,
        "untrained_seed": built.seed,
        **times,
        **lengths,
        "results": results,
    }


def framed_lines(found: Framed) -> list[str]:
    """The same as a line for each frame: when it begins, in seconds, of several results which it is of, and the first
    of its numbers. Frames of several results come in the order of time."""
    lines: list[tuple[Fraction, str]] = []
    for each in found.series:
        name = f"{each.name}\t" if len(found.series) > 1 else ""
        more = " ..." if each.frames.shape[1] > FIRST else ""
        told = (" ".join(f"{number:.4g}" for number in frame[:FIRST]) for frame in each.frames)
        lines += [(at / each.rate, f"{name}{numbers}{more}") for at, numbers in enumerate(told)]
    return [f"{float(begins):.3f}\t{line}" for begins, line in sorted(lines, key=lambda line: line[0])]


def tell_of_numbers(built: Built, left_out: Sequence[str] = ()) -> None:
    """Tells on standard error which results are left out, and that the numbers of an untrained build mean nothing."""
    from mctc.cli.verbosity import Verbosity, verbosity

    if verbosity() is Verbosity.QUIET:
        return
    told = wrap(f"without {', '.join(left_out)}: of several results those that are frames of channels are given", 78)
    for line in (told if left_out else []) + (untrained(built, "numbers") if built.seed is not None else []):
        click.echo(line, err=True)


def tell_of_other_results(names: Sequence[str]) -> None:
    """Tells on standard error which results are no sound, and so in no file."""
    from mctc.cli.verbosity import Verbosity, verbosity

    if names and verbosity() is not Verbosity.QUIET:
        for line in wrap(f"without {', '.join(names)}: no sound; --json gives the numbers of all results", 78):
            click.echo(line, err=True)


def untrained(built: Built, what: str) -> list[str]:
    """That there is nothing to read."""
    return wrap(
        f"{built.folder} is untrained: its weights were drawn from seed {built.seed}, so its {what} mean nothing. "
        "`mctc build --weights FILE.safetensors` binds trained ones.",
        78,
    )


def latency_ms(built: Built) -> float | None:
    """Algorithmic latency of the encoder: its chunk and what it looks ahead."""
    encoder = built.functions[built.manifest["audio"]["function"]]
    return max((port.latency_ms or 0.0 for port in encoder.outputs), default=0.0) or None


def _milliseconds(seconds: list[float]) -> str:
    return f"{1000 * float(np.median(seconds)):8.1f} ms  ({1000 * max(seconds):.1f} ms)"
