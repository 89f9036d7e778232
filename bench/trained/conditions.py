"""Tests under a condition, written as manifests of recordings of their own: the same ones each time."""

from __future__ import annotations

import json
import re
import wave
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.trained import sound
from bench.trained.model import Model
from bench.trained.sound import RATE, Samples
from mctc.atomic import write_text
from mctc.audio import load_audio
from mctc.score.utterance import Utterance

Change = Callable[[Samples, np.random.Generator], Samples]
GROUP = 8  # utterances that are joined


@dataclass(frozen=True)
class Condition:
    """change: of each recording by itself. gap_s: silence between utterances that become one; None leaves them apart.
    group: how many, None for all of a test. sampled: heard by the package's evaluator, too."""

    name: str
    change: Change | None = None
    gap_s: float | None = None
    group: int | None = GROUP
    sampled: bool = False

    @property
    def label(self) -> str:
        """The name as one of a folder."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower()).strip("-")


def _by(change: Callable[[Samples], Samples]) -> Change:
    return lambda samples, _: change(samples)


def _noise(decibels: float) -> Change:
    return lambda samples, rng: sound.noisy(samples, decibels, rng)


PLAIN = Condition("as they are")
CONDITIONS = (
    PLAIN,
    *(Condition(f"noise, {db} dB", _noise(db), sampled=db == 0) for db in (20, 15, 10, 5, 0)),
    *(
        Condition(f"peak at {db} dBFS", _by(partial(sound.levelled, decibels=db)), sampled=db == -40)
        for db in (0, -10, -20, -30, -40)
    ),
    Condition("8 kHz", _by(sound.narrow)),
    Condition("telephone", _by(sound.telephone), sampled=True),
    *(Condition(f"{GROUP} in one, {gap:g} s between", gap_s=gap) for gap in (0.0, 1.0, 5.0)),
    Condition(f"{GROUP} in one, 30 s between", gap_s=30.0),
    Condition("all in one, 0.5 s between", gap_s=0.5, group=None),
)


def manifests(model: Model, condition: Condition, limit: int | None = None) -> dict[str, Path]:
    """The tests under a condition by name, of each no more than so many recordings."""
    found = {}
    for name, utterances in model.sets.items():
        groups = [*grouped(condition, utterances)][:limit]
        folder = model.work / "conditions" / condition.label
        found[name] = folder / f"{name}-{len(utterances)}-{len(groups)}.jsonl"
        if not found[name].exists():
            write_text(found[name], "".join(json.dumps(_entry(condition, group, folder)) + "\n" for group in groups))
    return found


def grouped(condition: Condition, utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    """Those that become one recording."""
    size = 1 if condition.gap_s is None else condition.group or len(utterances)
    return (utterances[at : at + size] for at in range(0, len(utterances), size))


def _entry(condition: Condition, group: Sequence[Utterance], folder: Path) -> dict[str, object]:
    """Writes a recording; its entry in NeMo's form, with the ends of words where they are known."""
    parts, words, length = list[Samples](), list[dict[str, object]](), 0
    for each in group:
        if parts:
            parts.append(np.zeros(round((condition.gap_s or 0.0) * RATE)))
            length += len(parts[-1])
        parts.append(_changed(condition, each))
        words += [{"word": word.text, "end": round(length / RATE + word.end, 4)} for word in each.words]
        length += len(parts[-1])
    name = f"{group[0].id.replace('/', '_')}-{len(group)}.wav"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / name), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sound.sixteen_bits(np.concatenate(parts)).astype("<i2").tobytes())
    text = " ".join(each.text for each in group)
    known, duration = f"{condition.label}/{group[0].id}", length / RATE
    return {"id": known, "audio_filepath": name, "text": text, "duration": duration, "words": words}


def _changed(condition: Condition, utterance: Utterance) -> Samples:
    samples = load_audio(utterance.audio, RATE, utterance.start, utterance.duration).astype(np.float64)
    if condition.change is None:
        return samples
    return condition.change(samples, np.random.default_rng(zlib.crc32(utterance.id.encode())))
