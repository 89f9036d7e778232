"""Where the ops of a function are predicted to run.

The segmenter runs once on the estimates as they are, with contested ops taken as eligible and ties on the engine, and
then under other readings: ties on the CPU, contested ops refused, charges smaller and larger by the chip's factor of
doubt (which stands for the uncertainty of all estimates), and ops whose estimate rests on one size alone cheaper and
dearer on the CPU. An op that all readings put on the same side is predicted there; one that they disagree about is
doubtful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import groupby

from mctc.hardware.families import UNPUBLISHED
from mctc.hardware.rates import INT8_RATIO
from mctc.linter.coreml.cost import Cost, cost
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.packed import WEIGHTED, packed
from mctc.linter.coreml.rule import Effect
from mctc.linter.coreml.segment import CHARGES, Backend, shortest_path, total
from mctc.records import dataclass


class Eligible(str, Enum):
    """Whether the engine takes an op at all."""

    YES = "yes"
    CONTESTED = "contested"
    NO = "no"


class Predicted(str, Enum):
    """Where an op is predicted to run."""

    ANE = "ane"
    CPU = "cpu"
    DOUBTFUL = "doubtful"


ELIGIBLE = {Effect.OFF: Eligible.NO, Effect.DOUBT: Eligible.CONTESTED}


@dataclass(frozen=True)
class Segment:
    """Consecutive ops on one backend (in the reading as it is). Microseconds are estimates for all of its ops.

    doubtful: how many of its ops other readings put elsewhere.
    """

    backend: Backend
    first: int
    last: int
    ane: float
    cpu: float
    doubtful: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Placement:
    """The prediction for one function, entry by entry for its ops.

    path: the backend in the reading as it is. predicted: with doubt. time, cpu_time: microseconds of that reading and
    of everything on the CPU, charges included.
    """

    function: FunctionGraph
    eligible: Sequence[Eligible]
    costs: Sequence[Cost]
    path: Sequence[Backend]
    predicted: Sequence[Predicted]
    segments: Sequence[Segment]
    time: float
    cpu_time: float

    @property
    def saving(self) -> float:
        """Microseconds that the predicted placement saves against all on the CPU."""
        return self.cpu_time - self.time

    @property
    def switches(self) -> int:
        return max(0, len(self.segments) - 1)

    @property
    def int8_time(self) -> float | None:
        """The time were products of int8 by int8 INT8_RATIO times as fast; None where none is on the engine."""
        rows = zip(self.function.ops, self.costs, self.path, strict=True)
        held = [cost.ane for op, cost, side in rows if side is Backend.ANE and _of_whole_numbers(op)]
        return self.time - sum(held) * (1 - 1 / INT8_RATIO) if held else None

    def share(self, where: Predicted) -> float:
        """The part of the estimated CPU time that is predicted to run there: ops weighed by cost, from 0 to 1; all of
        them alike where none takes any time."""
        spent = sum(each.cpu for each in self.costs)
        here = sum(each.cpu for each, place in zip(self.costs, self.predicted, strict=True) if place is where)
        return here / spent if spent else self.predicted.count(where) / max(1, len(self.predicted))


def place(
    function: FunctionGraph,
    effects: Mapping[Op, Effect],
    costs: Sequence[Cost] | None = None,
    doubt: float = UNPUBLISHED,
) -> Placement:
    """Predicts a function.

    effects: the worst effect of any finding, for the ops that have one. doubt: the factor by which charges may be off.
    """
    costs = [cost(op) for op in function.ops] if costs is None else costs
    eligible = [_eligible(op, effects) for op in function.ops]
    willing = [(c.ane if e is not Eligible.NO else None, c.cpu) for c, e in zip(costs, eligible, strict=True)]
    strict = [(c.ane if e is Eligible.YES else None, c.cpu) for c, e in zip(costs, eligible, strict=True)]
    path = shortest_path(willing)
    readings = [path, shortest_path(willing, ties=Backend.CPU)]
    readings += [shortest_path(willing, CHARGES.times(factor)) for factor in (doubt, 1 / doubt)]
    for sign in (1, -1) if any(c.spread != 1.0 for c in costs) else ():
        readings.append(shortest_path([(a, b * c.spread**sign) for (a, b), c in zip(willing, costs, strict=True)]))
    if Eligible.CONTESTED in eligible:
        readings.append(shortest_path(strict))
    predicted = [_agree(each) for each in zip(*readings, strict=True)]
    segments = _segments(path, predicted, costs)
    cpu_time = sum(each.cpu for each in costs)
    return Placement(function, eligible, costs, path, predicted, segments, total(willing, path), cpu_time)


def _of_whole_numbers(op: Op) -> bool:
    """Whether an op multiplies quantised activations by weights that are stored as integers."""
    made, weight = op.producer("x"), packed(op) if op.type in WEIGHTED else None
    return made is not None and made.type == "dequantize" and weight is not None and weight.integers is not None


def _eligible(op: Op, effects: Mapping[Op, Effect]) -> Eligible:
    """What is inside a branch or a loop goes with the op that it is inside of."""
    outer: Op | None = op
    worst = Eligible.YES
    while outer is not None:
        found = ELIGIBLE.get(effects.get(outer, Effect.STAYS), Eligible.YES)
        if found is Eligible.NO:
            return found
        worst = found if found is Eligible.CONTESTED else worst
        outer = outer.inside
    return worst


def _agree(places: Sequence[Backend]) -> Predicted:
    return Predicted(places[0].value) if len(set(places)) == 1 else Predicted.DOUBTFUL


def _segments(path: Sequence[Backend], predicted: Sequence[Predicted], costs: Sequence[Cost]) -> list[Segment]:
    found = []
    for backend, group in groupby(range(len(path)), key=path.__getitem__):
        places = list(group)
        ane = sum(costs[each].ane for each in places)
        cpu = sum(costs[each].cpu for each in places)
        doubtful = sum(predicted[each] is Predicted.DOUBTFUL for each in places)
        found.append(Segment(backend, places[0], places[-1], ane, cpu, doubtful))
    return found
