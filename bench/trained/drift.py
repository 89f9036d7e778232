"""Minutes of speech in one stream, the state carried from start to end, by every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.trained.cells import markdown
from bench.trained.model import STORED, Model
from mctc.audio.front_end import frames_of
from mctc.audio.load import load_audio
from mctc.numerics.difference import signal_to_noise
from mctc.runtime.built import open_built
from mctc.runtime.searched import recogniser
from mctc.runtime.stream import front_end_of
from mctc.runtime.whole import WholeEncoder

TORCH = ("--target", "torch")
RATE = 100  # log-mel frames a second
Frames = NDArray[np.float32]


def table(model: Model) -> str:
    """Decibels of each minute against the module over all of it at once, and the largest number in the states."""
    mel = frames(model)
    expected = WholeEncoder(recogniser(open_built(model.built(TORCH)), None, model.weights))(mel)
    engines: tuple[tuple[str, Path, str | None], ...] = (
        ("torch, fp32", model.built(TORCH), None),
        ("onnxruntime, fp32", model.built(STORED.build), None),
        ("package evaluator, fp32", model.folder, "fp32"),
        ("package evaluator, fp16", model.folder, "fp16"),
    )
    rows, states = list[list[str]](), list[float]()
    for name, folder, precision in engines:
        ours, states = encoded(model, folder, precision, mel)
        pairs = zip(*(np.array_split(side, model.asked.minutes) for side in (expected, ours)), strict=True)
        rows.append([name, *(f"{signal_to_noise(*pair):.0f}" for pair in pairs)])
    rows.append(["largest number in its states", *(f"{each:.1f}" for each in states)])
    told = f"{model.asked.minutes} minutes in one stream: dB by minute against the module (torch, fp32) over all of it"
    minutes = map(str, range(1, len(rows[0])))
    return "\n".join([f"### {told} at once\n", markdown(["", *minutes], rows)])


def frames(model: Model) -> Frames:
    """Log-mel frames [frames, bins] of utterances of all tests in turn, as many as make up the minutes asked for, whole
    chunks of them."""
    config = front_end_of(open_built(model.folder))
    wanted, parts, count = 60 * model.asked.minutes * config.sample_rate, list[Frames](), 0
    at = 0
    while count < wanted:
        for utterances in model.sets.values():
            each = utterances[at % len(utterances)]
            parts.append(load_audio(each.audio, config.sample_rate, each.start, each.duration))
            count += len(parts[-1])
        at += 1
    mel = frames_of(np.concatenate(parts)[:wanted], config)
    chunk = open_built(model.folder).lengths.chunk
    return mel[: len(mel) // chunk * chunk]


def encoded(model: Model, folder: Path, precision: str | None, mel: Frames) -> tuple[Frames, list[float]]:
    """Encoded frames of a stream, and the largest magnitude in its states at the end of each minute, where the engine
    keeps them as arrays."""
    encoder = recogniser(open_built(folder), precision, model.weights).stream()
    minute, parts, states = int(60 * RATE / encoder.chunk), list[Frames](), list[float]()
    for number, start in enumerate(range(0, len(mel), encoder.chunk), 1):
        parts.append(encoder.push(mel[start : start + encoder.chunk]))
        if number % minute == 0:
            held = (np.abs(each).max() for each in encoder.step.saved().values() if isinstance(each, np.ndarray))
            states.append(float(max(held, default=0.0)))
    return np.concatenate([*parts, encoder.finish()]), states
