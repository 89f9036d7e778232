"""A step function cut into a chain of functions: of like cost, where few values cross, each with states of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from mctc.driver.options import LAYERS, BuildError
from mctc.ir.program import Function, Op, Program, State, Value
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter, drop_dead

BY = "split"
ROUND = re.compile(r"(.*?\.\d+)(?:\.|$)")  # the first round of a repeat in an instance path


@dataclass(frozen=True)
class Split:
    """Functions of `program` that stand for those of another: `chains` names them in the order of their calls."""

    program: Program
    chains: Mapping[str, tuple[str, ...]]


def split_program(program: Program, wanted: str) -> Split:
    """Cuts the function that costs most, and those of the same states at other chunks, into `wanted` parts, or one for
    each round of its repeats. Raises BuildError where there are not so many places to cut at."""
    new = replace(program, functions={}, parameters=dict(program.parameters), vocabularies=())
    largest = max(program.functions.values(), key=lambda function: sum(map(_cost, function.ops)))
    alike = {state.name for state in largest.states}
    chains: dict[str, tuple[str, ...]] = {}
    for name, function in program.functions.items():
        cut = function is largest or (alike and {state.name for state in function.states} == alike)
        parts = list(_parts(function, _places(function, wanted) if cut else ()))
        names = tuple(f"{name}_{k}of{len(parts)}" for k in range(1, len(parts) + 1)) if len(parts) > 1 else (name,)
        for called, (part, given) in zip(names, parts):
            new.functions[called] = _rebuilt(new, replace(part, name=called), given)
        chains[name] = names
    return Split(drop_dead(new), chains)


def _cost(op: Op) -> int:
    """What an op costs to compile and to run, in products: every op something, sums of products what they are."""
    return op.macs() + sum(result.type.size for result in op.results) if op.operands else 0


def _working(function: Function) -> list[Op]:
    return [op for op in function.ops if op.operands]


def _places(function: Function, wanted: str) -> tuple[int, ...]:
    """Before which of its ops a function is cut."""
    ops = _working(function)
    crossing = {place: _crossing(function, ops, place) for place in _open(function, ops)}
    fewest = min(map(len, crossing.values()), default=0)
    allowed = [place for place, values in crossing.items() if len(values) == fewest]
    if wanted == LAYERS:
        return tuple(place for place in allowed if _round(ops[place - 1]) != _round(ops[place]))
    count = int(wanted)
    if len(allowed) < count - 1:
        hint = f"--split {len(allowed) + 1} is the most" if allowed else "build it in one"
        raise BuildError(f"{function.name} can't be cut into {count} parts that keep their own states", hint=hint)
    before = [0]
    for op in ops:
        before.append(before[-1] + _cost(op))
    return balanced(allowed, before, count)


def balanced(places: Sequence[int], before: Sequence[int], count: int) -> tuple[int, ...]:
    """The `count` - 1 places that make the costliest part cheapest. before: the cost of all before each place, and
    at last of all; there are enough places."""
    last = len(before) - 1
    found: dict[int, tuple[int, tuple[int, ...]]] = {end: (before[end], ()) for end in (*places, last)}
    for _ in range(count - 1):
        found = {
            end: min(
                (max(cost, before[end] - before[at]), (*cuts, at)) for at, (cost, cuts) in found.items() if at < end
            )
            for end in (*places, last)
            if min(found) < end
        }
    return found[last][1]


def _open(function: Function, ops: Sequence[Op]) -> Iterator[int]:
    """Places between whose sides no state is read and written."""
    at = {op: index for index, op in enumerate(ops)}
    made = {value: index for op, index in at.items() for value in op.results}
    spans: list[tuple[int, int]] = []
    for state in function.states:
        passed = {each.value for each in _passed_on(function, [state])}
        touched = [index for op, index in at.items() if passed.intersection(op.present())]
        touched += [made[state.update]] if state.update in made else []
        spans += [(min(touched), max(touched))] if touched else []
    for place in range(1, len(ops)):
        if not any(first < place <= last for first, last in spans):
            yield place


def _passed_on(function: Function, states: Sequence[State]) -> list[State]:
    """These states, and those that they hand their values to as they are or take them from: a long delay."""
    kept = list(states)
    for state in kept:  # grows
        linked = (each for each in function.states if each.value is state.update or each.update is state.value)
        kept += [each for each in linked if each not in kept]
    return [state for state in function.states if state in kept]


def _crossing(function: Function, ops: Sequence[Op], place: int) -> list[Value]:
    """Values made before a place and read behind it."""
    made = {value for op in ops[:place] for value in op.results}
    read = (value for op in ops[place:] for value in op.operands if value in made)
    return list(dict.fromkeys(value for value in read if value is not None))


def _round(op: Op) -> str | None:
    found = ROUND.match(op.origin.path)
    return None if found is None else found[1]


def _parts(function: Function, places: Sequence[int]) -> Iterator[tuple[Function, Mapping[Value, str]]]:
    """The function between its cuts, on its own values, and what inputs are called. A value that crosses is a result of
    the part that makes it."""
    ops = _working(function)
    named = {value: value.name for value in function.inputs} | {value: name for name, value in function.results}
    for first, last in pairwise([0, *places, len(ops)]):
        inside, later = ops[first:last], ops[last:]
        made = {value for op in inside for value in op.results}
        before = {value for op in ops[:first] for value in op.results}
        read = dict.fromkeys(value for op in inside for value in op.operands if value is not None)
        for op in later:
            for value in made.intersection(each for each in op.operands if each is not None):
                named.setdefault(value, f"{function.name}_{len(named)}")
        results = [(name, value) for value, name in named.items() if value in made]
        results += [(n, v) for n, v in function.results if not later and v not in made and v not in before]
        states = _passed_on(function, [s for s in function.states if s.update in made or s.value in read])
        wanted = {*read, *(value for _, value in results), *(state.update for state in states)}
        inputs = [value for value in function.inputs if value in wanted] + [each for each in read if each in before]
        part = replace(
            function, inputs=inputs, results=results,
            ops=[*(op for op in function.ops if not op.operands and wanted.intersection(op.results)), *inside],
            states=states,
            domains={value.name: function.domains[value.name] for value in inputs if value.name in function.domains},
        )  # fmt: skip
        yield part, {value: named[value] for value in inputs}


def _rebuilt(program: Program, part: Function, given: Mapping[Value, str]) -> Function:
    """The part with inputs of its own in place of what other parts make."""
    rewriter = Rewriter(program, part, BY)
    for value, name in given.items():
        rewriter.bind(value, Value(value.type, name))
    return rewriter.rebuild(lambda op, to: None)
