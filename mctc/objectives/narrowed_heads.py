"""Heads of training behind a width that was pruned: which columns of a whole model's head are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mctc.ir.attribute_value import AttributeValue
from mctc.ir.program import Program, Value
from mctc.ir.section import Section
from mctc.objectives.auxiliary import auxiliaries, heads, read_by
from mctc.objectives.misfit import MisfitError
from mctc.objectives.wiring import objective_fit
from mctc.records import dataclass

COLUMNS, WIDTH = "columns", "width"
"""What a pruned program's `train` section says of an auxiliary objective beside its settings: runs of channels that are
left of what its head reads, of so many."""


@dataclass(frozen=True)
class Head:
    """A head [classes, width] by its name, and what it reads."""

    name: str
    classes: int
    width: int
    value: Value


def heads_of(program: Program) -> list[Head]:
    """The heads that a program's module has in training; none where the objective does not fit it."""
    try:
        found = auxiliaries(program, objective_fit(program))
    except MisfitError:
        return []
    return [Head(each.head, each.classes, each.width, read_by(program, each)) for each in found if each.head]


def with_columns(train: Section, columns: Mapping[str, tuple[Sequence[int], int]]) -> Section:
    """A `train` section that says which columns of its heads are left, and of how many, by the head's name."""
    settings: list[AttributeValue] = []
    for head, (name, given) in zip(heads(train.settings), train.calls("auxiliary"), strict=True):
        left, width = columns.get(head, (None, 0))
        more: dict[str, AttributeValue] = {} if left is None else {COLUMNS: _runs(left), WIDTH: width}
        settings.append((name, {**given, **more}))
    return Section({**train.settings, "auxiliary": tuple(settings)}, train.places)


def columns_left(train: Section, head: str) -> tuple[list[int], int] | None:
    """The columns that are left of a head's, and how many it had; None where it has all."""
    told = dict(zip(heads(train.settings), train.calls("auxiliary"), strict=True))
    given: Mapping[str, Any] = told[head][1] if head in told else {}
    if COLUMNS not in given:
        return None
    return list(chain.from_iterable(range(begin, end) for begin, end in given[COLUMNS])), given[WIDTH]


def _runs(entries: Sequence[int]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for each in entries:
        if found and found[-1][1] == each:
            found[-1] = found[-1][0], each + 1
        else:
            found.append((each, each + 1))
    return tuple(found)
