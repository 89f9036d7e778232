"""Which groups of entries a program's `prune` section takes away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.diagnostics.diagnostic import LocatedError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.ir.location import Location
from mctc.ir.op import Array
from mctc.ir.path_pattern import matches
from mctc.ir.program import Program
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.dimensions import Dimension, dimensions

WIDE, MULTIPLE = 64, 16  # of so many entries or more, a multiple is kept: the engine takes channels by 16


class PruneError(LocatedError):
    """A share that can't be cut; names the rule and what is in the way."""

    def __init__(self, message: str, location: Location | None, *, hint: str | None = None) -> None:
        super().__init__("MCT0158", message, location, hint=hint)


def removed(program: Program, groups: Groups) -> Array:
    """The groups that go, in order. Raises PruneError for a rule that names nothing, or what must stay."""
    known, gone, cut_by = dimensions(program), set[int](), dict[int, str]()
    for pattern, share in program.prune.settings.items():
        place = program.prune.places.get(pattern)
        if not isinstance(share, (int, float)) or not 0 <= share < 1:
            raise PruneError(f"`{pattern}` takes a share from 0 to below 1, not {share!r}", place)
        found = [each for each in known if matches(pattern, each.name)]
        if not found:
            names = [each.name for each in known if _may_go(each, groups)]
            hint = did_you_mean(pattern, names) or f"dimensions are, for example, {listing(_various(names))}"
            raise PruneError(f"`{pattern}` names no dimension", place, hint=hint)
        for dimension in found:
            gone |= set(_cut(dimension, float(share), groups, place))
            _once(dimension, pattern, groups, cut_by, place)
        if (empty := groups.emptied(np.array(sorted(gone), np.int64))) is not None:
            told = f"`{pattern}: {share:g}` would leave nothing of {empty}"
            raise PruneError(told, place, hint="a smaller share leaves some of it")
    return np.array(sorted(gone), np.int64)


def _once(dimension: Dimension, rule: str, groups: Groups, cut_by: dict[int, str], place: Location | None) -> None:
    """Notes which rule cuts the entries. Raises PruneError where another one does: two shares, and none is meant."""
    for group in dimension.groups(groups):
        if (first := cut_by.setdefault(int(group), rule)) != rule:
            told = f"`{rule}` cuts {dimension.name}, whose entries `{first}` cuts already"
            raise PruneError(told, place, hint="give what goes together one share: remove one of them, or name less")


def _may_go(dimension: Dimension, groups: Groups) -> bool:
    return not any(int(group) in groups.stays for group in dimension.groups(groups))


def _various(names: Sequence[str]) -> list[str]:
    """One of each kind."""
    return list({name.rpartition(".")[2]: name for name in reversed(names)}.values())[::-1]


def kept(size: int, share: float) -> int:
    """How many entries stay: at least one, and of a wide dimension a multiple."""
    step = MULTIPLE if size >= WIDE else 1
    return min(size, max(1, -(-round(size * (1 - share)) // step) * step))


def _cut(dimension: Dimension, share: float, groups: Groups, place: Location | None) -> Sequence[int]:
    """The groups of the last entries. Raises PruneError for one that must stay, or that an entry before them is of."""
    entries = dimension.groups(groups)
    stay = kept(len(entries), share)
    last = np.unique(entries[stay:])
    for group in last:
        if (held := groups.stays.get(int(group))) is not None:
            told = f"{dimension.name} can't be cut: its entries are those of {held.why}"
            raise PruneError(told, place, hint=held.hint)
    if np.isin(last, entries[:stay]).any():
        raise PruneError(f"{dimension.name} can't be cut: some of its entries go together with others of it", place)
    return [int(group) for group in last]
