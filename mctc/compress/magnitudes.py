"""How large the inputs of a weight are: counts by magnitude, and the scale at which 8 bits hold them best.

Four bins an octave from 2^-20 to 2^12, for each entry of a weight's row: whole numbers, so shards merge to the bit.
"""

from __future__ import annotations

import numpy as np

from mctc.compress.errors import CompressError
from mctc.ir.op import Array
from mctc.ir.ops.quantize import HIGH, held_scale
from mctc.records import dataclass

LOWEST, OCTAVES, EACH = -20, 32, 4
BINS = OCTAVES * EACH
MANTISSA = 23 - 2  # bits of a float32's mantissa below those that tell the four bins of an octave apart
POINTS = 8  # of a bin, that stand for what it counts
SHARES = 0.97 ** np.arange(64)  # of the largest magnitude that a scale may reach: down to a seventh


def counted(rows: Array) -> Array:
    """Counts [n, BINS] of the magnitudes of rows [positions, n]; the first bin has all below it, the last all above."""
    bits = np.abs(np.asarray(rows, np.float32)).view(np.int32) >> MANTISSA
    bins = np.clip(bits - ((127 + LOWEST) << 2), 0, BINS - 1)
    width = rows.shape[1]
    flat = (bins + BINS * np.arange(width)).ravel()
    return np.bincount(flat, minlength=width * BINS).reshape(width, BINS)


def edges() -> Array:
    """Where bins begin, and where the last one ends."""
    at = np.arange(BINS + 1)
    found: Array = np.ldexp(1 + (at % EACH) / EACH, LOWEST + at // EACH)
    found[0] = 0.0
    return found


def largest(counts: Array) -> Array:
    """An upper bound of the magnitudes in each row of counts [n, BINS]: the end of the last bin that counts any."""
    last = BINS - 1 - (counts[:, ::-1] > 0).argmax(axis=1)
    return np.where(counts.any(axis=1), edges()[last + 1], 0.0)


def divided(counts: Array, factors: Array) -> Array:
    """Counts of the same inputs, each divided by its factor, a power of two: rows of counts [n, BINS] move along."""
    steps = EACH * np.log2(factors).astype(np.int64)
    found = np.zeros_like(counts)
    places = np.clip(np.arange(BINS) - steps[:, None], 0, BINS - 1)
    np.add.at(found, (np.arange(len(counts))[:, None], places), counts)
    return found


@dataclass(frozen=True)
class Held:
    """A scale of activations, and the power of what it holds over that of the error, in dB."""

    scale: float
    decibels: float


def best_scale(counts: Array) -> Held:
    """The fp16 scale of the least expected squared error, of inputs with these counts [BINS] by magnitude.

    What is beyond its reach is clipped, and what is within rounds to the nearest step. Raises CompressError where
    nothing was counted, or zeros alone.
    """
    bounds = edges()
    places = (np.arange(POINTS) + 0.5) / POINTS
    points = (bounds[:-1, None] + np.diff(bounds)[:, None] * places).ravel()
    weights = np.repeat(counts / POINTS, POINTS)
    if not counts[1:].any():
        raise CompressError("its inputs were zeros whenever they were measured")
    top = float(largest(counts[None])[0])
    scales = held_scale(top * SHARES / HIGH)
    steps = np.minimum(np.rint(points / scales[:, None]), HIGH)
    errors = (weights * (points - steps * scales[:, None]) ** 2).sum(axis=1)
    best = int(errors.argmin())
    power = float((weights * points**2).sum())
    return Held(float(scales[best]), float(10 * np.log10(power / max(errors[best], 1e-30))))
