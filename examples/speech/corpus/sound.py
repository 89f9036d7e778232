"""Samples between an engine and the corpus: resampled, cut, levelled, with silence at either end."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
QUIET = 0.01  # of the peak: what is less at the ends is no speech
KEPT_S = 0.02  # of what is quiet, on either side of the speech
SILENCE_S = (0.1, 0.8)  # at either end
PEAK_DB, FLOOR_DB = (-20.0, -1.0), (-70.0, -45.0)  # of full scale; of the peak
BLOCK = 441  # samples at 22.05 kHz that are 320 at 16 kHz

Samples = NDArray[np.float32]
Ends = tuple[float | None, ...]


@dataclass(frozen=True)
class Said:
    """Samples of a text, and seconds from their start where its words end: None where unknown, () for all."""

    samples: Samples
    rate: int
    ends: Ends = ()


def resampled(samples: Samples, rate: int, to: int) -> Samples:
    """Samples at another rate, by their spectrum: what lies above half of the lower rate is left out."""
    if rate == to or not samples.size:
        return samples
    padded = np.pad(samples, (0, -samples.size % BLOCK))
    count = round(padded.size * to / rate)
    spectrum = np.fft.rfft(padded)[: count // 2 + 1]
    found = np.fft.irfft(spectrum, count) * (count / padded.size)
    return found[: round(samples.size * to / rate)].astype(np.float32)


def spoken(said: Said, warp: float = 1.0) -> Said:
    """What is said, at 16 kHz, without the silence around it. Raises ValueError where nothing is.

    warp: a factor of all frequencies: above 1 the speaker has a shorter vocal tract, and talks faster by as much.
    """
    samples = resampled(said.samples, round(said.rate * warp), said.rate)
    samples = resampled(samples, said.rate, RATE)
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=0.0))
    if not loud.size:
        raise ValueError("an engine was silent")
    first = max(0, int(loud[0]) - round(KEPT_S * RATE))
    last = int(loud[-1]) + 1 + round(KEPT_S * RATE)
    kept = samples[first:last]
    ends = tuple(None if end is None else end / warp - first / RATE for end in said.ends)
    return Said(kept, RATE, tuple(None if end is None else min(end, kept.size / RATE) for end in ends))


def joined(parts: list[Said], pauses: list[float]) -> Said:
    """What is said one after another at 16 kHz, with pauses of so many seconds: before, between and after."""
    samples, ends, at = [], list[float | None](), 0
    for pause, part in zip(pauses, [*parts, None], strict=True):
        silence = round(pause * RATE)
        samples.append(np.zeros(silence, np.float32))
        at += silence
        if part is not None:
            ends += [None if end is None else at / RATE + end for end in part.ends]
            samples.append(part.samples)
            at += part.samples.size
    return Said(np.concatenate(samples), RATE, tuple(ends))


def recorded(said: Said, rng: np.random.Generator) -> NDArray[np.int16]:
    """16-bit samples at a level that is drawn, with the noise floor of a good microphone."""
    peak = 10 ** (rng.uniform(*PEAK_DB) / 20)
    levelled = said.samples * (peak / np.abs(said.samples).max())
    noise = rng.standard_normal(levelled.size, np.float32) * np.float32(peak * 10 ** (rng.uniform(*FLOOR_DB) / 20))
    samples: NDArray[np.int16] = np.clip(np.rint((levelled + noise) * 32767), -32768, 32767).astype(np.int16)
    return samples


def of_wav(data: bytes) -> Said:
    """The samples of a 16-bit mono WAV."""
    with wave.open(BytesIO(data)) as sound:
        return Said(of_pcm(sound.readframes(sound.getnframes())), sound.getframerate())


def of_pcm(data: bytes) -> Samples:
    samples: Samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return samples
