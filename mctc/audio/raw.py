"""Sound without a header: raw samples (PCM) from a pipe, as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np

from mctc.audio.errors import AudioError, too_short
from mctc.audio.load import SAMPLE_RATE, resampler
from mctc.audio.scale import other_scale
from mctc.audio.sound import Float32

ENCODINGS = {"s16": ("<i2", 2.0**15), "s32": ("<i4", 2.0**31), "f32": ("<f4", 1.0)}
"""numpy's type of a sample, little-endian, and what full scale is."""

BLOCK_S = 0.1  # seconds that are waited for at most before what came is handed on


def raw_audio(
    file: IO[bytes], name: str, rate: int, channels: int = 1, encoding: str = "s16", sample_rate: int = SAMPLE_RATE
) -> Iterator[Float32]:
    """Blocks [samples] of floats in [-1, 1] at `sample_rate` of interleaved samples, as soon as they can be read.

    rate: of the samples, in Hz. Channels are averaged. What is left of a sample at the end is dropped. Raises
    `AudioError`, which calls the sound `name`, for samples that are not finite or beyond all loudness, and for none.
    """
    kind, full = ENCODINGS[encoding]
    resample, given = resampler(rate, sample_rate, name), 0
    size = np.dtype(kind).itemsize * channels
    block, held, heard = max(1, int(BLOCK_S * rate)) * size, b"", 0
    while data := file.read1(block) if hasattr(file, "read1") else file.read(block):
        held += data
        whole = len(held) - len(held) % size
        samples = np.frombuffer(held[:whole], kind).reshape(-1, channels)
        held = held[whole:]
        with np.errstate(invalid="ignore"):  # signalling NaNs, which are told of
            scaled = samples / np.float32(full)
        if not np.isfinite(scaled).all() or other_scale(scaled) is not None:
            fix = "say how it is written: s16 and s32 are whole numbers, f32 is not"
            raise AudioError(name, f"it holds samples that are no sound, after sample {heard}", fix)
        heard += len(samples)
        yield (known := resample(scaled.mean(axis=1, dtype=np.float32), False))
        given += len(known)
    if not heard:
        raise AudioError(name, "the recording has no samples", "record it again")
    yield (known := resample(np.empty(0, np.float32), True))
    if not given + len(known):
        raise too_short(name, heard, rate, sample_rate)
