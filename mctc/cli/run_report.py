"""What `mctc run` says about a recording: cost, latency, tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from mctc.runtime.built import Built
from mctc.runtime.pooled import Pooled
from mctc.runtime.speech import Transcript
from mctc.runtime.utterance import Transcription

SHOWN = 40  # tokens
FIRST = 6  # numbers, or classes, of a result without time


def as_record(built: Built, audio: str, precision: str | None, transcript: Transcript) -> dict[str, Any]:
    """The whole result, for tools. Times in milliseconds unless they say seconds."""
    costs = transcript.costs
    return {
        "model": built.model,
        "audio": audio,
        "audio_s": transcript.audio_s,
        "precision": precision or built.precision,
        "runtime": built.target.runtime,
        "untrained_seed": built.seed,
        "chunk_frames": built.chunk,
        "latency_ms": latency_ms(built),
        "real_time_factor": transcript.real_time_factor,
        "chunks": [{"mel_ms": 1000 * c.mel, "encode_ms": 1000 * c.encode, "search_ms": 1000 * c.search} for c in costs],
        "encoded_frames": transcript.frames,
        "calls": {"encoder": len(costs), **transcript.calls},
        "tokens": [{"token": e.token, "frame": e.frame} for e in transcript.emissions],
    }


def lines(built: Built, audio: str, precision: str | None, transcript: Transcript) -> list[str]:
    """The result in a few lines of at most 80 columns."""
    costs, tokens = transcript.costs, [e.token for e in transcript.emissions]
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
    called = " and ".join(f"{count} {name}" for name, count in transcript.calls.items())
    found = f"  {transcript.frames} encoded frames, {len(tokens)} tokens"
    text.append(f"{found}; {called} calls" if called else found)
    return text + _tokens(built, tokens)


def utterance_record(built: Built, audio: str, precision: str | None, found: Transcription) -> dict[str, Any]:
    """A whole utterance's result, for tools."""
    about = {"model": built.model, "audio": audio, "precision": precision or built.precision}
    return {**about, "runtime": built.target.runtime, "untrained_seed": built.seed, **asdict(found)}


def utterance_lines(built: Built, audio: str, precision: str | None, found: Transcription) -> list[str]:
    """The same in a few lines of at most 80 columns."""
    by = f"{precision or built.precision}, {built.target.runtime}"
    text = [f"{built.model} over {Path(audio).name}: {found.audio_s:.2f} s of audio, {by}"]
    text.append(f"  log-mel {found.mel_s:.2f} s, encoder {found.encode_s:.2f} s, search {found.search_s:.2f} s")
    return text + _tokens(built, found.tokens)


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
            told = "best " + ", ".join(f"{entry} ({flat[entry]:.4g})" for entry in np.argsort(-flat)[:FIRST])
        more = " ..." if flat.size > FIRST else ""
        shape = " x ".join(map(str, array.shape)) or "a number"
        spread = f", length {float(np.linalg.norm(flat)):.4g}" if array.ndim and name not in found.scores else ""
        text += wrap(f"{name} ({shape}{spread}): {told}{more}", 78, initial_indent="  ", subsequent_indent="    ")
    return text + (_untrained(built, "numbers") if built.seed is not None else [])


def _untrained(built: Built, what: str) -> list[str]:
    return wrap(
        f"These {what} mean nothing: the weights are untrained, drawn from seed {built.seed}. "
        "`mctc build --weights FILE.safetensors` binds trained ones.",
        78, initial_indent="  ", subsequent_indent="  ",
    )  # fmt: skip


def _tokens(built: Built, tokens: Sequence[int]) -> list[str]:
    listed = " ".join(map(str, tokens[:SHOWN])) + (f" ... ({len(tokens)} in all)" if len(tokens) > SHOWN else "")
    text = wrap(f"tokens: {listed or 'none'}", 78, initial_indent="  ", subsequent_indent="    ")
    if built.seed is not None:
        text += _untrained(built, "tokens")
    return text


def latency_ms(built: Built) -> float | None:
    """Algorithmic latency of the encoder: its chunk and what it looks ahead."""
    encoder = built.functions[built.manifest["audio"]["function"]]
    return max((port.latency_ms or 0.0 for port in encoder.outputs), default=0.0) or None


def _milliseconds(seconds: list[float]) -> str:
    return f"{1000 * float(np.median(seconds)):8.1f} ms  ({1000 * max(seconds):.1f} ms)"
