"""Which hypotheses stay in a beam, and how two that are the same become one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import itemgetter

import numpy as np

from mctc.decode.frames import DecodeError, Floats
from mctc.decode.histories import History, HistoryEntry
from mctc.decode.settings import Settings

LEAST = float(np.finfo(np.float64).min)  # above -inf


def highest(totals: Floats, count: int, least: float = -np.inf) -> list[tuple[int, int]]:
    """Row and column of the `count` highest entries [rows, columns], the highest first; none that is -inf or below
    `least`."""
    flat = totals.ravel()
    kept = np.flatnonzero(flat >= max(least, LEAST))  # few, where the window is narrow
    order = np.argsort(-flat[kept], kind="stable")[:count]
    return [divmod(place, totals.shape[1]) for place in kept[order].tolist()]


def within(entries: Iterable[HistoryEntry], settings: Settings) -> list[HistoryEntry]:
    """The `beam` best, none of them more than `window` behind the best."""
    ranked = sorted(((entry.total, entry) for entry in entries), key=itemgetter(0), reverse=True)[: settings.beam]
    return [entry for total, entry in ranked if total >= ranked[0][0] - settings.window]


def none_left(frame: int) -> DecodeError:
    """What to raise where a beam is empty: every way to go on has a probability of 0."""
    hint = "a logit or a scorer rules everything out with -inf"
    return DecodeError(f"no hypothesis goes on at frame {frame}", hint=hint)


def added(one: float, other: float) -> float:
    """log(exp one + exp other), computed without overflow."""
    high, low = (one, other) if one >= other else (other, one)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def merged(found: dict[History, HistoryEntry], entry: HistoryEntry) -> None:
    """Adds an entry; where the history is there already, the probabilities are added and the better trace stays."""
    other = found.get(entry.history)
    if other is not None:
        better = entry if entry.score > other.score else other
        entry = HistoryEntry(entry.history, added(entry.score, other.score), better.trace)
    found[entry.history] = entry
