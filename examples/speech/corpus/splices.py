"""A person's recordings cut between words and joined anew: few recordings hold many sequences of words.

A model that hears 411 prompts often enough knows each by its beginning, and drops words of the others. Sequences that
nobody would say keep it from guessing (Lam et al. 2021, "On-the-Fly Aligned Data Augmentation", for CTC and attention).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from corpus.sound import RATE, Said, joined

ENDS = Path(__file__).with_name("prompt_ends.json")  # by speech.align
WORDS, PIECES = (1, 4), (1, 6)  # of a piece; of an utterance
LEAST_WORD_S, FADE_S = 0.1, 0.004  # a shorter word was not found
PAUSED, PAUSE_S = 0.3, (0.0, 0.3)  # so many joints are not at once
TRIES = 20


@cache
def _ends() -> dict[str, list[float]]:
    found: dict[str, list[float]] = json.loads(ENDS.read_text(encoding="utf-8"))
    return found


def ends_of(name: str) -> tuple[float, ...]:
    """Seconds of a prompt's recording at which its words end; () where that is not known."""
    return tuple(_ends().get(name, ()))


def spliced(known: Sequence[tuple[str, Said]], rng: np.random.Generator) -> tuple[str, Said]:
    """Pieces of recordings that tell the ends of all their words, and what they say."""
    count = int(rng.integers(PIECES[0], PIECES[1] + 1))
    pieces = [_piece(*known[int(at)], rng) for at in rng.integers(len(known), size=count)]
    pauses = [float(rng.uniform(*PAUSE_S)) if rng.random() < PAUSED else 0.0 for _ in pieces[1:]]
    return " ".join(text for text, _ in pieces), joined([said for _, said in pieces], [0.0, *pauses, 0.0])


def _piece(text: str, said: Said, rng: np.random.Generator) -> tuple[str, Said]:
    """Some words of a recording, or all of it where none lie apart."""
    words, ends = text.split(), [0.0, *(end or 0.0 for end in said.ends)]
    for _ in range(TRIES):
        count = int(rng.integers(WORDS[0], WORDS[1] + 1))
        first = int(rng.integers(max(1, len(words) - count + 1)))
        last = min(first + count, len(words))
        begin, end = ends[first], said.samples.size / RATE if last == len(words) else ends[last]
        if end - begin >= LEAST_WORD_S * (last - first):
            samples = said.samples[round(begin * RATE) : round(end * RATE)].copy()
            fade = np.linspace(0.0, 1.0, round(FADE_S * RATE), dtype=np.float32)
            samples[: fade.size] *= fade
            samples[-fade.size :] *= fade[::-1]
            return " ".join(words[first:last]), Said(samples, RATE)
    return text, said
