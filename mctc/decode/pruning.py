"""Which hypotheses stay in a beam, and how two that are the same become one."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest

import numpy as np

from mctc.decode.histories import Entry, History
from mctc.decode.settings import Settings
from mctc.decode.stepper import Floats


def highest(totals: Floats, count: int, least: float = -np.inf) -> list[tuple[int, int]]:
    """Row and column of the `count` highest entries [rows, columns], the highest first; none that is -inf or below
    `least`."""
    flat = totals.ravel()
    kept = np.argpartition(-flat, count - 1)[:count] if count < flat.size else np.arange(flat.size)
    kept = kept[np.argsort(-flat[kept], kind="stable")]
    kept = kept[(flat[kept] >= least) & (flat[kept] > -np.inf)]
    rows, columns = np.divmod(kept, totals.shape[1])
    return list(zip(rows.tolist(), columns.tolist()))


def within(entries: Iterable[Entry], settings: Settings) -> list[Entry]:
    """The `beam` best, none of them more than `window` behind the best."""
    kept = nlargest(settings.beam, entries, key=lambda entry: entry.total)
    return [entry for entry in kept if entry.total >= kept[0].total - settings.window]


def merged(found: dict[History, Entry], entry: Entry) -> None:
    """Adds an entry; where the history is there already, the probabilities are added and the better trace stays."""
    other = found.get(entry.history)
    if other is not None:
        better = entry if entry.score > other.score else other
        entry = better._replace(score=float(np.logaddexp(entry.score, other.score)))
    found[entry.history] = entry
