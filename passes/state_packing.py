"""Where each state lies in one packed tensor [1, rows, 1, width] or [1, 1, rows, width].

A state [1, C, H, W] is C rows of H * W columns; where W is a multiple of 32, C * H rows of W, since the few heads of a
scan would be rows as long as their states are large. States of equal shape form a group and stand side by side;
groups of equal numbers of rows form a bin; bins are stacked along the rows. A bin is no wider than the Neural
Engine takes (ANE-SH-002) unless a single state is: many caches stand on several. The width is a multiple of 32: the
Neural Engine fails on states of other widths (ANE-ST-002).

Beside states that fill rows, bins of narrow ones would leave most of each row empty. Where it takes less, the packed
tensor is as wide as such states; each of them takes rows of its own, and every other group takes whole rows, flat.
Where most of it would be empty all the same, as beside states of 304, rows of the next multiple are tried, all states
flat in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mctc.ir.ops.shape import Slice
from mctc.ir.program import State
from mctc.ir.types import TensorType
from mctc.records import dataclass

MULTIPLE = 32


@dataclass(frozen=True)
class StateShape:
    """The shape of a state as rows C of H lines of W entries."""

    rows: int
    lines: int
    width: int

    @property
    def columns(self) -> int:
        return self.lines * self.width


@dataclass(frozen=True)
class Group:
    """States of one form, in columns `column` and up of their bin."""

    form: StateShape
    states: tuple[State, ...]
    column: int

    @property
    def columns(self) -> int:
        return self.form.columns * len(self.states)


@dataclass(frozen=True)
class Bin:
    """Groups of equal numbers of rows, in rows `row` and up of the packed tensor."""

    rows: int
    row: int
    groups: tuple[Group, ...]

    @property
    def columns(self) -> int:
        return sum(group.columns for group in self.groups)


@dataclass(frozen=True)
class Stack:
    """A group in rows `row` and up. `flat`: joined and cut into rows; else each state has rows of its own."""

    group: Group
    row: int
    rows: int
    flat: bool


@dataclass(frozen=True)
class Packing:
    """Either bins, whose rows stand on the channel axis, or stacks, whose rows stand on the axis before the last."""

    bins: tuple[Bin, ...]
    rows: int
    width: int
    stacks: tuple[Stack, ...] = ()

    @property
    def size(self) -> int:
        return self.rows * self.width


def form_of(type_: TensorType) -> StateShape:
    """[1, C, .., W] is C rows, or a row for each line where a line fills one; any other type is one row."""
    shape = type_.shape
    if type_.rank < 3 or shape[0] != 1:
        return StateShape(1, 1, prod(shape))
    lines, width = prod(shape[2:-1]), shape[-1]
    return StateShape(shape[1] * lines, 1, width) if width % MULTIPLE == 0 else StateShape(shape[1], lines, width)


def pack(states: Sequence[State], limit: int) -> Packing:
    """The layout of `states` in at most `limit` columns that takes the least room, bins where it is the same."""
    forms = [_form(state) for state in states]
    full = {form.width for form in forms if form.lines == 1 and not form.width % MULTIPLE}
    stacked = [_stacked(states, width, limit) for width in sorted(full) if width <= limit]
    found = min([_binned(states, limit), *stacked], key=lambda packing: packing.size)
    if found.size <= 2 * sum(state.value.type.size for state in states):
        return found
    near = {padded(form.width) for form in forms if form.width > MULTIPLE} - full
    flat = [_stacked(states, width, limit) for width in sorted(near) if width <= limit]
    return min([found, *flat], key=lambda packing: packing.size)


def _form(state: State) -> StateShape:
    return form_of(state.value.type)


def _stacked(states: Sequence[State], width: int, limit: int) -> Packing:
    """In rows of `width`. Groups come in the order of their first state. What does not fill its rows is one row for a
    moment, of at most `limit` columns."""
    by_form: dict[StateShape, list[State]] = {}
    for state in states:
        by_form.setdefault(_form(state), []).append(state)
    stacks, row = list[Stack](), 0
    for form, members in by_form.items():
        flat, entries = form.lines > 1 or form.width != width, form.rows * form.columns
        flat = flat or _beside(members, limit)
        fills = not flat or entries * len(members) % width == 0
        for part in [tuple(members)] if fills else _parts(members, max(1, limit // width * width // entries)):
            rows = -(-entries * len(part) // width)
            stacks.append(Stack(Group(form, part, 0), row, rows, flat))
            row += rows
    return Packing((), row, width, tuple(stacks))


def _beside(members: Sequence[State], limit: int) -> bool:
    """Whether states that fill rows stand better side by side: the last of several rows [1, R, 1, W] each. All are cut
    out of one [1, R, 1, n W] and made by one slice, where single rows would be reshaped one by one."""
    shape = members[0].value.type.shape
    rows = len(shape) == 4 and shape[1] > 1 and shape[2] == 1 < len(members) and shape[3] * len(members) <= limit
    makers = [state.update.owner for state in members]
    return rows and all(isinstance(op, Slice) and op.position == 1 for op in makers)


def _binned(states: Sequence[State], limit: int) -> Packing:
    """In bins, which come in the order of their first state, as their groups do."""
    by_rows: dict[int, dict[StateShape, list[State]]] = {}
    for state in states:
        form = _form(state)
        by_rows.setdefault(form.rows, {}).setdefault(form, []).append(state)
    bins: list[Bin] = []
    row = 0
    for rows, by_form in by_rows.items():
        groups: list[Group] = []
        for form, members in by_form.items():
            for part in _parts(members, max(1, limit // form.columns)):
                column = sum(group.columns for group in groups)
                if groups and column + form.columns * len(part) > limit:
                    bins.append(Bin(rows, row, tuple(groups)))
                    row, groups, column = row + rows, [], 0
                groups.append(Group(form, part, column))
        bins.append(Bin(rows, row, tuple(groups)))
        row += rows
    return Packing(tuple(bins), row, padded(max(bin_.columns for bin_ in bins)))


def _parts(members: Sequence[State], most: int) -> list[tuple[State, ...]]:
    """The fewest parts of at most `most` members, as equal as can be."""
    count = -(-len(members) // most)
    size = -(-len(members) // count)
    return [tuple(members[begin : begin + size]) for begin in range(0, len(members), size)]


def padded(columns: int) -> int:
    """The next multiple of 32."""
    return -(-columns // MULTIPLE) * MULTIPLE
