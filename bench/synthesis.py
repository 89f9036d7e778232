"""Sentences and names that nobody said, spoken by espeak-ng: the wheel espeakng-loader brings library and voices.

What is measured with them is a search, by the same frames and references for every setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from corpus.espeak import Espeak, installed, wheel, word_ends
from corpus.grammar import filled, sentences
from corpus.sound import RATE, Ends, Samples

__all__ = ["RATE", "Spoken", "asking_for", "installed", "names", "sentences", "spoken"]

EDGE_S = 0.3  # of silence at either end
ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = ("m1", "m3", "m7", "f2", "f4")
ASKING = (
    "please call {name} {when}",
    "{who} met {name} {where}",
    "{name} {did} {what} {where}",
    "{when} {name} {did} {what}",
    "the letter from {name} was lost {when}",
)
BEGINNINGS = "bar|cor|dal|fen|gar|hal|jor|kel|lan|mor|nor|pel|quin|ros|sel|tar|ul|var|wen|yar"
MIDDLES = "a|e|i|o|an|el|in|or|ima|ola"
ENDINGS = "bert|dova|field|gren|hart|kin|lund|mere|nova|rick|sson|ston|thwaite|vale|wick"


@dataclass(frozen=True)
class Spoken:
    """A sentence in lower-case letters, as samples at 16 kHz, and the rare name in it if there is one.

    ends: seconds where each of its words ends; None where espeak-ng joins it to the next one.
    """

    text: str
    samples: Samples
    name: str = ""
    ends: Ends = ()


def names(count: int, seed: int) -> list[str]:
    """Different names that are no words."""
    rng, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        found["".join(str(rng.choice(part.split("|"))) for part in (BEGINNINGS, MIDDLES, ENDINGS))] = None
    return list(found)


def asking_for(known: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """A sentence with each name, and the name."""
    rng = np.random.default_rng(seed)
    return [(filled(str(rng.choice(ASKING)).replace("{name}", name), rng), name) for name in known]


def spoken(texts: Sequence[tuple[str, str]], seed: int) -> Iterator[Spoken]:
    """Texts, with the name in each or '', in voices, rates and pitches that are drawn, with a little noise."""
    import soxr

    rng = np.random.default_rng(seed)
    for text, name in texts:
        voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
        library = _opened()
        said = library.said(text, voice, int(rng.integers(150, 190)), int(rng.integers(35, 65)))
        samples = np.pad(soxr.resample(said, library.rate, RATE), round(EDGE_S * RATE))
        noise = rng.normal(size=samples.size) * 10 ** (-rng.uniform(45, 60) / 20)
        ends = word_ends(text, library.starts, said, library.rate)
        behind = tuple(None if end is None else EDGE_S + end for end in ends)
        yield Spoken(text, (0.5 * samples / np.abs(samples).max() + noise).astype(np.float32), name, behind)


@cache
def _opened() -> Espeak:
    return Espeak(*wheel())
