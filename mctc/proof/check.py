"""What was checked, what was measured, and whether it holds: rows that commands print and benchmarks read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from mctc.ir.op import Array
from mctc.ir.rounding import Rounding
from mctc.numerics.battery import Item
from mctc.numerics.difference import Difference, Scale, difference, within
from mctc.numerics.limits import Limit
from mctc.records import dataclass

Arrays = Mapping[str, Array]
Predicted = Callable[[Item, Rounding], tuple[Arrays, Arrays]]


@dataclass(frozen=True)
class Check:
    """What was checked on which component, what was measured, and whether it holds. `ok` None: it could not be run.

    error: of a runtime's results, of the largest magnitude; seconds: that it computed. None where nothing computed.
    item: of the battery, on which the worst was measured. notes: where numbers end that the reference has, as rounding
    alone predicts, and where the reference has none itself. facts: what else was measured.
    """

    name: str
    component: str
    measured: str
    limit: str
    ok: bool | None
    error: float | None = None
    seconds: float | None = None
    item: str | None = None
    notes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """One result over one item of the battery: how far it is off, and whether that is within the limit."""

    item: Item
    result: str
    found: Difference
    ok: bool

    def told(self, limit: Limit) -> str:
        """The figure that the limit judges."""
        if self.found.misshapen:
            return f"{self.result} has another shape"
        if self.found.lost:
            return f"{self.result} is not finite on {self.item.name}"
        return f"{self.found.error:.1e}" if limit.decibels is None else f"{self.found.decibels:.1f} dB"


def compare(
    items: Iterable[Item],
    limit: Limit,
    expected: Callable[[Item], Arrays],
    run: Callable[[Item], Arrays],
    predicted: Predicted | None = None,
    stored: Callable[[Item], Arrays] | None = None,
) -> Iterator[Measured]:
    """Every result over every item against what is expected of it.

    stored: what is expected with the weights that an artifact stores, asked for where the first is too far off.
    predicted: results of the same arithmetic as it is and rounded: what rounding alone explains.
    """
    scales: dict[str, Scale] = {}
    for item in items:
        wanted, got = expected(item), run(item)
        for key, array in wanted.items():
            scale = scales.setdefault(key, Scale.of(array))
            explained = partial(_moved, predicted, item, key, scale) if predicted is not None else None
            found, ok = _judged(array, got[key], scale, limit, explained)
            if not ok and stored is not None:
                found, ok = _judged(stored(item)[key], got[key], scale, limit, explained)
            yield Measured(item, key, found, ok)


def _judged(
    wanted: Array, got: Array, scale: Scale, limit: Limit, explained: Callable[[Rounding], Difference] | None
) -> tuple[Difference, bool]:
    """How far a result is off, and whether that is within the limit or what rounding explains, entry by entry."""
    found = difference(wanted, got, scale)
    ok = within(found, limit) or within(difference(wanted, got, scale, each=True), limit, explained)
    return found, ok


def _moved(predicted: Predicted, item: Item, key: str, scale: Scale, rounding: Rounding) -> Difference:
    exact, rounded = predicted(item, rounding)
    return difference(exact[key], rounded[key], scale, each=True)


def by_rounding(rows: Iterable[Measured], limit: Limit) -> Iterator[str]:
    """Of the items on which a limit is passed, and held all the same, the result and how far it is off."""
    for row in rows:
        if row.ok and not within(row.found, limit):
            yield f"{row.told(limit)} on {row.item.name}, past {limit}: rounding moves {row.result} as far"


def worst(rows: Iterable[Measured], limit: Limit) -> Measured:
    """The row that is furthest off: those beyond the limit before all others, then those where no number is lost."""

    def order(row: Measured) -> tuple[bool, bool, bool, float]:
        lost = row.found.lost > 0
        apart = row.found.error if limit.decibels is None else -row.found.decibels
        return not row.ok, row.found.misshapen, lost if not row.ok else not lost, apart

    return max(rows, key=order)
