"""Where each state lies in one packed tensor [1, rows, 1, width].

A state [1, C, H, W] is C rows of H * W columns; where W is a multiple of 32, C * H rows of W, since the few heads of a
scan would be rows as long as their states are large. States of equal shape form a cohort and stand side by side;
cohorts of equal numbers of rows form a shelf; shelves are stacked along the rows. A shelf is no wider than the Neural
Engine takes (ANE-SH-002) unless a single state is: many caches stand on several. The width is a multiple of 32: the
Neural Engine fails on states of other widths (ANE-ST-002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mctc.ir.program import State
from mctc.ir.types import TensorType

MULTIPLE = 32


@dataclass(frozen=True)
class Grid:
    """The shape of a state as rows C of H lines of W entries."""

    rows: int
    lines: int
    width: int

    @property
    def columns(self) -> int:
        return self.lines * self.width


@dataclass(frozen=True)
class Cohort:
    """States of equal grid, in columns `column` and up of their shelf."""

    grid: Grid
    states: tuple[State, ...]
    column: int

    @property
    def columns(self) -> int:
        return self.grid.columns * len(self.states)


@dataclass(frozen=True)
class Shelf:
    """Cohorts of equal numbers of rows, in rows `row` and up of the packed tensor."""

    rows: int
    row: int
    cohorts: tuple[Cohort, ...]

    @property
    def columns(self) -> int:
        return sum(cohort.columns for cohort in self.cohorts)


@dataclass(frozen=True)
class Packing:
    shelves: tuple[Shelf, ...]
    rows: int
    width: int


def grid_of(type_: TensorType) -> Grid:
    """[1, C, .., W] is C rows, or a row for each line where a line fills one; any other type is one row."""
    shape = type_.shape
    if type_.rank < 3 or shape[0] != 1:
        return Grid(1, 1, prod(shape))
    lines, width = prod(shape[2:-1]), shape[-1]
    return Grid(shape[1] * lines, 1, width) if width % MULTIPLE == 0 else Grid(shape[1], lines, width)


def pack(states: Sequence[State], limit: int) -> Packing:
    """The layout of `states` in at most `limit` columns. Shelves and cohorts come in the order of their first state."""
    by_rows: dict[int, dict[Grid, list[State]]] = {}
    for state in states:
        grid = grid_of(state.value.type)
        by_rows.setdefault(grid.rows, {}).setdefault(grid, []).append(state)
    shelves: list[Shelf] = []
    row = 0
    for rows, by_grid in by_rows.items():
        cohorts: list[Cohort] = []
        for grid, members in by_grid.items():
            for part in _parts(members, max(1, limit // grid.columns)):
                column = sum(cohort.columns for cohort in cohorts)
                if cohorts and column + grid.columns * len(part) > limit:
                    shelves.append(Shelf(rows, row, tuple(cohorts)))
                    row, cohorts, column = row + rows, [], 0
                cohorts.append(Cohort(grid, part, column))
        shelves.append(Shelf(rows, row, tuple(cohorts)))
        row += rows
    return Packing(tuple(shelves), row, padded(max(shelf.columns for shelf in shelves)))


def _parts(members: Sequence[State], most: int) -> list[tuple[State, ...]]:
    """The fewest parts of at most `most` members, as equal as can be."""
    count = -(-len(members) // most)
    size = -(-len(members) // count)
    return [tuple(members[begin : begin + size]) for begin in range(0, len(members), size)]


def padded(columns: int) -> int:
    """The next multiple of 32."""
    return -(-columns // MULTIPLE) * MULTIPLE
