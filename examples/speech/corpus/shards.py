"""Makes a shard: a 16-bit WAV of utterances one behind the other, and a line of NeMo's manifest for each of them."""

from __future__ import annotations

import json
import os
import wave
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from corpus.flite import Flite
from corpus.g722 import decoded
from corpus.phones import Phones
from corpus.plan import MOST_PROMPT_S, PERSON, SELECTION, Plan, Shard
from corpus.prompts import Prompt
from corpus.sound import RATE, SILENCE_S, Said, joined, recorded, spoken
from corpus.splices import ends_of, spliced
from corpus.unit_selection import UnitSelection
from corpus.voice import WARP, WARPED, Engine, Manner, drawn
from corpus.words import words

BATCH = 32  # texts for one call of an engine
PAUSE_S = (0.3, 1.5)  # between two sentences
AT_ONCE = 0.2  # so many recordings begin, or end, without any silence
PROMPT_WEIGHT = 5  # how often a person's recording may be taken while a synthetic one is taken once
SPLICED = 0.6  # so many varied utterances are of pieces
MOST_JOINED, JOINT_S = 4, (0.0, 0.5)  # whole prompts in another one, and between two of them
PERSON_VOICE = "person:allison"
PART = ".part"
Utterance = tuple[NDArray[np.int16], dict[str, Any]]


def sound_of(folder: Path, shard: Shard) -> Path:
    return folder / "shards" / f"{shard.name}.wav"


def lines_of(folder: Path, shard: Shard) -> Path:
    """The manifest of a shard, which is written last: the shard is complete when it exists."""
    return folder / "shards" / f"{shard.name}.jsonl"


def make(plan: Plan, shard: Shard, engines: Mapping[str, Callable[[], Engine]], folder: Path) -> None:
    """Writes a shard. Its bytes are the same in every process that spoke nothing before."""
    if shard.engine == SELECTION:
        found = _synthetic(plan, shard, _selection(shard, engines["flite"]()))
    elif shard.engine != PERSON:
        found = _synthetic(plan, shard, engines[shard.engine]())
    else:
        found = _varied_prompts(plan, shard) if shard.seconds else _prompts(plan, shard)
    path, lines, at = sound_of(folder, shard), [], 0
    part = path.with_suffix(f".{os.getpid()}{PART}")
    with wave.open(str(part), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        for number, (samples, told) in enumerate(found):
            sound.writeframes(samples.astype("<i2").tobytes())
            entry = {
                "id": f"{shard.name}-{number:04}",
                "audio_filepath": f"shards/{path.name}",
                "offset": at / RATE,
                "duration": samples.size / RATE,
                **told,
            }
            lines.append(json.dumps(entry) + "\n")
            at += samples.size
    part.rename(path)
    part.write_text("".join(lines), encoding="utf-8")
    part.rename(lines_of(folder, shard))


def _rng(plan: Plan, shard: Shard, number: int) -> np.random.Generator:
    return np.random.default_rng([plan.seed, crc32(shard.name.encode()), number])


def _prompts(plan: Plan, shard: Shard) -> Iterator[Utterance]:
    for number, prompt in enumerate(shard.prompts):
        rng = _rng(plan, shard, number)
        said = _prompt(prompt)
        told = {"text": words(prompt.text), "voice": PERSON_VOICE, "engine": PERSON, "weight": PROMPT_WEIGHT}
        yield recorded(_between_silence([said], rng), rng), {**told, "prompt": prompt.name}


def _varied_prompts(plan: Plan, shard: Shard) -> Iterator[Utterance]:
    """Prompts, or pieces of them, joined. Whole ones, which are few and soon known by heart, are by a speaker of
    another size, and some of those of pieces."""
    known = _known(shard)
    apart = _apart(known)
    seconds = 0.0
    for number in count():
        rng = _rng(plan, shard, number)
        cut = bool(apart) and rng.random() < SPLICED
        text, said = spliced(apart, rng) if cut else _some(known, rng)
        if plan.source.held.has(text):
            continue
        warp = 1.0 if cut and rng.random() >= WARPED else float(rng.uniform(*WARP))
        whole = joined([spoken(said, warp)], [_silence(rng), _silence(rng)])
        seconds += whole.samples.size / RATE
        told = {"text": text, "voice": PERSON_VOICE, "engine": PERSON, "weight": 1}
        yield recorded(whole, rng), told | ({"warp": round(warp, 3)} if warp != 1 else {})
        if seconds >= shard.seconds:
            return


def _selection(shard: Shard, flite: Engine) -> Engine:
    """The voice of a shard's prompts."""
    assert isinstance(flite, Flite), "phones are flite's"
    return UnitSelection(Phones(flite), _apart(_known(shard)))


def _known(shard: Shard) -> list[tuple[str, Said]]:
    return [(words(each.text), _prompt(each)) for each in shard.prompts]


def _apart(known: list[tuple[str, Said]]) -> list[tuple[str, Said]]:
    """Those that tell where each of their words ends."""
    return [(text, said) for text, said in known if len(said.ends) == len(text.split())]


def _prompt(prompt: Prompt) -> Said:
    return spoken(Said(decoded(prompt.path.read_bytes()), RATE, ends_of(prompt.name)))


def _some(known: list[tuple[str, Said]], rng: np.random.Generator) -> tuple[str, Said]:
    """Whole prompts, one after another."""
    taken = [known[at] for at in rng.integers(len(known), size=int(rng.integers(1, MOST_JOINED + 1)))]
    while len(taken) > 1 and sum(said.samples.size for _, said in taken) > MOST_PROMPT_S * RATE:
        taken.pop()
    pauses = [0.0, *(float(rng.uniform(*JOINT_S)) for _ in taken[1:]), 0.0]
    return " ".join(text for text, _ in taken), joined([said for _, said in taken], pauses)


def _synthetic(plan: Plan, shard: Shard, engine: Engine) -> Iterator[Utterance]:
    """Utterances until the shard's texts are said, or its seconds are full."""
    seconds = 0.0
    for first in count(step=BATCH):
        numbers = range(first, min(first + BATCH, len(shard.texts)) if shard.texts else first + BATCH)
        rngs = [_rng(plan, shard, number) for number in numbers]
        asked = [_asked(plan, shard, engine, number, rng) for number, rng in zip(numbers, rngs, strict=True)]
        parts = engine.speak([(text, manner) for texts, manner in asked for text in texts])
        for (texts, manner), rng in zip(asked, rngs, strict=True):
            made = [next(parts) for _ in texts]
            said = [spoken(each, manner.warp) for each in made if each is not None]
            if len(said) < len(made):
                continue
            whole = _between_silence(said, rng)
            seconds += whole.samples.size / RATE
            yield recorded(whole, rng), _told(engine, texts, manner, whole)
            if not shard.texts and seconds >= shard.seconds:
                return
        if shard.texts and first + BATCH >= len(shard.texts):
            return


def _asked(
    plan: Plan, shard: Shard, engine: Engine, number: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], Manner]:
    voice = shard.voices[int(rng.integers(len(shard.voices)))]
    if shard.texts:
        return (shard.texts[number],), drawn(voice, False, rng)
    return plan.source.drawn(shard.number + number * shard.step, rng), drawn(voice, engine.warps, rng)


def _between_silence(parts: list[Said], rng: np.random.Generator) -> Said:
    inner = [float(rng.uniform(*PAUSE_S)) for _ in parts[1:]]
    return joined(parts, [_silence(rng), *inner, _silence(rng)])


def _silence(rng: np.random.Generator) -> float:
    """Seconds of silence at an end of a recording."""
    return 0.0 if rng.random() < AT_ONCE else float(rng.uniform(*SILENCE_S))


def _told(engine: Engine, texts: tuple[str, ...], manner: Manner, said: Said) -> dict[str, Any]:
    text = words(" ".join(texts))
    told: dict[str, Any] = {"text": text, "voice": f"{engine.name}:{manner.voice}", "engine": engine.name, "weight": 1}
    if manner.warp != 1:
        told["warp"] = round(manner.warp, 3)
    if len(said.ends) == len(text.split()):  # espeak-ng reads some abbreviations as other words
        ends = zip(text.split(), said.ends, strict=True)
        told["words"] = [{"word": word, "end": round(end, 3)} for word, end in ends if end is not None]
    return told
