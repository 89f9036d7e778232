"""Where ops are drawn: layers from the top down, folded into columns as a newspaper folds a long text.

A layer is a longest path (what takes a value stands below what makes it). A layer too wide for a row takes several.
Within a row, ops stand near the mean of what they take. A program of a thousand rows would be a ribbon that nobody can
look at as a whole, so it is broken into columns, where few values cross the break. Time is linear in ops and their
operands, but for sorting rows.

Places are in slots: one op in each, whatever its size is on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, sqrt

from mctc.records import dataclass

ASPECT = 1.5
"""Width by height of the whole drawing, roughly that of the window."""
SLOT_ASPECT = 2.25
"""Width by height of a slot."""
NARROW = 16
"""A layer of so many ops is still one row."""
SHORT = 40
"""So many rows are still one column."""
GAP = 1.0
"""Slots between two columns."""
LIGHT = 0.01
"""The pull of an op that takes nothing, against 1 for one that takes something."""


@dataclass(frozen=True)
class Layout:
    """For every op its slot from the left, its row and its column; for every column its first row and its left and
    right end. In a column, y is the row less the column's first row."""

    x: tuple[float, ...]
    row: tuple[int, ...]
    column: tuple[int, ...]
    first_rows: tuple[int, ...]
    spans: tuple[tuple[float, float], ...]
    rows: int


def lay_out(inputs: Sequence[Sequence[int]]) -> Layout:
    """Places for ops. inputs: for every op the ops whose results it takes. A back edge (of a broken package) is not
    heeded."""
    before = [[source for source in sources if 0 <= source < op] for op, sources in enumerate(inputs)]
    rows, x = _rows(_layers(before), before)
    row = [0] * len(before)
    for index, ops in enumerate(rows):
        for op in ops:
            row[op] = index
    first_rows = _fold(rows, x, _crossings(row, before, len(rows)))
    return _columns(rows, x, row, first_rows)


def _layers(before: Sequence[Sequence[int]]) -> list[int]:
    """The longest way from the top; then what can go down without longer lines goes next to what takes it."""
    layer = [0] * len(before)
    after = [0] * len(before)
    for op, sources in enumerate(before):
        for source in sources:
            layer[op] = max(layer[op], layer[source] + 1)
            after[source] += 1
    lowest = [len(before)] * len(before)
    for op in reversed(range(len(before))):
        if after[op] and len(before[op]) <= after[op]:
            layer[op] = lowest[op] - 1
        for source in before[op]:
            lowest[source] = min(lowest[source], layer[op])
    return layer


def _rows(layer: Sequence[int], before: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[float]]:
    """The ops of every row from left to right, and every op's place."""
    layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for op, index in enumerate(layer):
        layers[index].append(op)
    rows: list[list[int]] = []
    x = [0.0] * len(layer)
    for ops in filter(None, layers):
        taking = {op: sum(x[source] for source in before[op]) / len(before[op]) for op in ops if before[op]}
        right = max(taking.values(), default=0.0) + 1
        wanted = {op: taking.get(op, right) for op in ops}
        ordered = sorted(ops, key=wanted.__getitem__)
        width = max(NARROW, ceil(sqrt(len(ops) * ASPECT / SLOT_ASPECT)))
        if len(ops) <= width:
            places = _spread([(wanted[op], 1.0 if before[op] else LIGHT) for op in ordered])
            rows.append(ordered)
        else:
            middle = sum(wanted.values()) / len(ops)
            places = [middle + index % width - (width - 1) / 2 for index in range(len(ops))]
            rows.extend(ordered[start : start + width] for start in range(0, len(ops), width))
        for op, place in zip(ordered, places, strict=True):
            x[op] = place
    return rows, x


def _spread(wanted: Sequence[tuple[float, float]]) -> list[float]:
    """Places at least one slot apart with the least sum of weighted squares from those wanted (pool adjacent
    violators). wanted: place and weight, in order."""
    blocks: list[tuple[float, float, int]] = []  # weighted sum, weight, how many
    for index, (place, weight) in enumerate(wanted):
        block = ((place - index) * weight, weight, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    flat = [total / weight for total, weight, size in blocks for _ in range(size)]
    return [place + index for index, place in enumerate(flat)]


def _crossings(row: Sequence[int], before: Sequence[Sequence[int]], rows: int) -> list[int]:
    """For every row, how many lines come into it or pass it from above."""
    change = [0] * (rows + 1)
    for op, sources in enumerate(before):
        for source in sources:
            change[row[source] + 1] += 1
            change[row[op] + 1] -= 1
    return list(accumulate(change[:rows]))


def _fold(rows: Sequence[Sequence[int]], x: Sequence[float], crossings: Sequence[int]) -> list[int]:
    """First rows of the columns, so that the whole is about as wide as a window."""
    if len(rows) <= SHORT:
        return [0] if rows else []
    height = float(len(rows))
    found = [0]
    for _ in range(4):
        found = _breaks(len(rows), max(SHORT // 2, round(height)), crossings)
        ends = [*found[1:], len(rows)]
        width = sum(_width(rows[first:end], x) + GAP for first, end in zip(found, ends, strict=True))
        tallest = max(end - first for first, end in zip(found, ends, strict=True))
        height = tallest * sqrt(width * SLOT_ASPECT / tallest / ASPECT)
        if height >= len(rows):
            return [0]
    return found


def _breaks(rows: int, height: int, crossings: Sequence[int]) -> list[int]:
    """A break about every `height` rows, where the fewest lines cross."""
    found = [0]
    while rows - found[-1] > height * 1.2:
        near = range(found[-1] + max(1, round(height * 0.75)), min(rows - 1, found[-1] + round(height * 1.1)) + 1)
        aim = found[-1] + height
        found.append(min(near, key=lambda row: (crossings[row], abs(row - aim))))
    return found


def _width(rows: Sequence[Sequence[int]], x: Sequence[float]) -> float:
    return max(x[ops[-1]] for ops in rows) - min(x[ops[0]] for ops in rows) + 1


def _columns(
    rows: Sequence[Sequence[int]], x: Sequence[float], row: Sequence[int], first_rows: Sequence[int]
) -> Layout:
    """Shifts every column to the right of the one before."""
    placed, column = list(x), [0] * len(x)
    spans = []
    left = 0.0
    for index, first in enumerate(first_rows):
        end = first_rows[index + 1] if index + 1 < len(first_rows) else len(rows)
        start = min(x[ops[0]] for ops in rows[first:end])
        for ops in rows[first:end]:
            for op in ops:
                placed[op], column[op] = x[op] - start + left, index
        right = left + _width(rows[first:end], x)
        spans.append((left, right))
        left = right + GAP
    return Layout(tuple(placed), tuple(row), tuple(column), tuple(first_rows), tuple(spans), len(rows))
