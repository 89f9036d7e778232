"""What an engine is asked for: a text, a voice of the engine, and how it talks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from corpus.sound import Said

SPEED, PITCH, RANGE = (0.78, 1.25), (0.85, 1.2), (0.6, 1.4)
WARPED, WARP = 0.5, (0.88, 1.14)  # so many speakers are others than the recorded one


@dataclass(frozen=True)
class Manner:
    """How a voice talks, in parts of what it does by itself: speed, pitch, its range; and a factor of all
    frequencies, by which it is another speaker's."""

    voice: str
    speed: float = 1.0
    pitch: float = 1.0
    range: float = 1.0
    warp: float = 1.0


class Engine(Protocol):
    """Speaks texts in one of its voices."""

    name: str
    voices: tuple[str, ...]
    warps: bool  # whether its voices are recordings of few people, which are worth to be varied

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said | None]:
        """What is said for each text, with the ends of words where the engine tells them; None for one it can't say."""
        ...


def drawn(voice: str, warps: bool, rng: np.random.Generator) -> Manner:
    """A manner of a voice. A warp leaves speed and pitch as they are drawn."""
    speed, pitch = rng.uniform(*SPEED), rng.uniform(*PITCH)
    warp = rng.uniform(*WARP) if warps and rng.random() < WARPED else 1.0
    return Manner(voice, speed / warp, pitch / warp, rng.uniform(*RANGE), warp)
