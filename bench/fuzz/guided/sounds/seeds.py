"""The recordings that a run begins with."""

from __future__ import annotations

from random import Random

import numpy as np

from bench.fuzz.guided.sounds.coded import CODED, coded
from bench.fuzz.guided.sounds.file import Known, Said, SoundFile
from bench.fuzz.guided.sounds.made import HOURS, lasting, made

MADE = 300
RATE = 4_000  # Hz of what lasts hours and is compressed


def sound_seeds() -> list[bytes]:
    """Some hundred recordings, one of each compressed kind, and some that last hours."""
    random = Random(0)
    files = [made(random) for _ in range(MADE)]
    rng = np.random.default_rng(0)
    for kind in CODED:
        data = coded(kind, rng.uniform(-1, 1, (9000, 1)), 16_000)
        files += [SoundFile(kind[0], data)] if data is not None else []
    files += [lasting(random, suffix) for suffix in ("wav", "s16")]
    silence = np.zeros((HOURS * 3600 * RATE, 1))
    data = coded(("flac", "FLAC", "PCM_16"), silence, RATE)
    files += [SoundFile("flac", data or b"", Said(RATE, 1, len(silence)), Known.LENGTH)]
    return [each.encoded() for each in files]
