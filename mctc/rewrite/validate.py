"""Translation validation: a pass's promise is checked by evaluating the program before and after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array, ieee
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.ops.shape import Reshape
from mctc.ir.program import Function, Op, Parameter, Program
from mctc.ir.rounding import Rounding
from mctc.numerics.battery import CONSTANT, NOISE, SILENCE, draw
from mctc.numerics.difference import Difference, Scale, difference, within
from mctc.numerics.limits import PASS, Limit
from mctc.numerics.parameters import is_small
from mctc.numerics.sizes import symbol_sizes
from mctc.quantize import farthest
from mctc.records import dataclass
from mctc.rewrite.base import Masks, Pass, Quantizes, Rounds, Stores, Within
from mctc.rewrite.kept_ports import Kept, KeptPorts, narrowed, without
from mctc.rewrite.masked_program import masked_program
from mctc.rewrite.masks import mask
from mctc.rewrite.pattern import Pattern
from mctc.rewrite.rewriter import rewrite
from mctc.rewrite.rounding import DifferenceError, rounding
from mctc.weights import Weights

Arrays = Mapping[str, Array]
Observe = Callable[[Op, list[Array]], None]
ITEMS = (NOISE, SILENCE, CONSTANT)  # chained calls where there are states: the third shows what an update made of one


class ValidationError(MctcError):
    """A pass changed what a program computes; names the pass, the result and, where found, the first op at fault."""


@dataclass(frozen=True)
class _Left:
    """A function that a pass left: what it was fed, item by item, and what it gave."""

    function: Function
    inputs: Sequence[Arrays]
    results: Sequence[Arrays]

    def gives(self, function: Function, inputs: Sequence[Arrays]) -> bool:
        """Whether these are the results of `function` over `inputs`."""
        return function is self.function and all(
            mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
            for mine, theirs in zip(self.inputs, inputs, strict=True)
        )


class Validation:
    """Checks passes that run one after the other: what one leaves is what the next one finds.

    So a function is evaluated once, by the pass that made it, and of a small model the value of a parameter that passes
    hand on is computed once.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._weights: Weights | None = None  # with all that was drawn of a small model
        self._left: dict[str, _Left] = {}
        self._values: dict[tuple[int, bool], tuple[Parameter, Array]] = {}

    def check(self, promise: Pass, before: Program, after: Program) -> float:
        """The largest relative error of any result, but for those of which rounding leaves nothing. Raises
        ValidationError when the promise is broken."""
        worst = _stored(promise, before, after) if isinstance(promise.promise, Stores) else 0.0
        after = _unquantized(after, promise.name) if isinstance(promise.promise, Quantizes) else after
        ports = KeptPorts()
        if isinstance(promise.promise, Masks) and before.prune.settings:
            ports, before = KeptPorts.of(before), masked_program(before)
        known, self._left = self._left, {}
        for name, function in before.functions.items():
            if name not in after.functions:
                raise ValidationError(f"pass {promise.name} lost function {name}")
            if isinstance(promise.promise, Rounds):
                worst = max(worst, _rounded(promise, function, after.functions[name]))
            elif not _untouched(before, function, after, after.functions[name]):
                worst = max(worst, self._compare(promise, before, after, function, known.get(name), ports))
            elif name in known and known[name].function is function:
                self._left[name] = replace(known[name], function=after.functions[name])
        still = {id(parameter) for parameter in after.parameters.values()}
        self._values = {key: held for key, held in self._values.items() if key[0] in still}
        return worst

    def _compare(
        self, promise: Pass, before: Program, after: Program, function: Function, left: _Left | None, ports: KeptPorts
    ) -> float:  # fmt: skip
        new, sizes = after.functions[function.name], symbol_sizes(function)
        old_types = {value.name: value.type.substitute(sizes) for value in function.inputs}
        new_types = {result: value.type.substitute(sizes) for result, value in new.results}
        less = {name: ports.inputs.get((function.name, name), {}) for name in old_types}
        fewer = {result: ports.results.get((function.name, result), {}) for result in new_types}
        stored = after.parameters if isinstance(promise.promise, Stores) else {}
        gone = after.parameters if isinstance(promise.promise, Masks) else {}
        fed = [draw(function, sizes, item, self.seed + number) for number, item in enumerate(ITEMS)]
        fed_new = [
            {
                v.name: adapt(without(each[v.name], less[v.name]), old_types[v.name], v.type.substitute(sizes))
                for v in new.inputs
            }
            for each in fed
        ]  # fmt: skip
        old_run = partial(self._run, before, function, stored, gone, fewer)
        new_run = partial(self._run, after, new, stored)
        known = left is not None and not stored and not gone and left.gives(function, fed)
        wanted = left.results if left is not None and known else [*map(old_run(), fed)]
        worst, made, run, limit = 0.0, list[Arrays](), new_run(), _limit(promise)
        scales: dict[str, Scale] = {}
        for item, inputs, new_inputs, expected in zip(ITEMS, fed, fed_new, wanted, strict=True):
            actual = run(new_inputs)
            made.append(actual)
            for result, value in function.results:
                type_ = narrowed(value.type.substitute(sizes), fewer[result])
                back = adapt(actual[result], new_types[result], type_)
                scale = scales.setdefault(result, Scale.of(expected[result]))
                found = difference(expected[result], back, scale, each=True)
                if within(found, limit):
                    worst = max(worst, found.error)
                elif not within(found, limit, partial(_moved, old_run(), fed[: len(made)], result, expected, scale)):
                    where = first_difference(old_run(), inputs, new_run(), new_inputs)
                    raise ValidationError(
                        f"pass {promise.name} promised {promise.promise} "
                        f"but result {result} of {function.name} differs by {found.error:.3g} on {item.name}{where}"
                    )
        if not stored:
            self._left[function.name] = _Left(new, fed_new, made)
        return worst

    def _run(
        self, program: Program, function: Function, stored: Mapping[str, Parameter],
        gone: Mapping[str, Parameter] = MappingProxyType({}), fewer: Mapping[str, Kept] = MappingProxyType({}),
    ) -> _Run:  # fmt: skip
        small = is_small(program)
        if self._weights is None or self._weights.sources != program.sources:
            self._weights = Weights(program.sources, cache=small)
        weights = self._weights.of_another_program()

        def value(parameter: Parameter, as_stored: bool) -> Array:
            return weights.deployed(parameter) if as_stored else weights.exact(parameter)

        def held(parameter: Parameter, as_stored: bool) -> Array:
            key = id(parameter), as_stored
            if key not in self._values:
                self._values[key] = parameter, value(parameter, as_stored)
            return self._values[key][1]

        return _Run(program, function, held if small else value, stored, gone, fewer)


def validate(promise: Pass, before: Program, after: Program, seed: int = 0) -> float:
    """The same for one pass."""
    return Validation(seed).check(promise, before, after)


def _limit(promise: Pass) -> Limit:
    return replace(PASS, error=promise.promise.tolerance) if isinstance(promise.promise, Within) else PASS


def _moved(
    run: _Run, calls: Sequence[Arrays], result: str, expected: Arrays, scale: Scale, rounding: Rounding
) -> Difference:
    """How far rounding alone moves a result of the program that a pass found, in the last of `calls`: where all of it
    cancels, that is all there is."""
    run.state, given = None, dict[str, Array]()
    for inputs in calls:
        given = run(inputs, rounding=rounding)
    return difference(expected[result], given[result], scale, each=True)


def _unquantized(program: Program, by: str) -> Program:
    """The program with its activations as they are."""
    return rewrite(program, by, Pattern(FakeQuantize, lambda op, to: to[op.x]))


def _rounded(promise: Pass, before: Function, after: Function) -> float:
    try:
        return rounding(before, after)
    except DifferenceError as error:
        raise ValidationError(f"pass {promise.name} promised to round numbers, but in {before.name} {error}") from error


def _stored(promise: Pass, before: Program, after: Program) -> float:
    """How far stored numbers are from those they stand for, of the largest magnitude in their tensor: the worst."""
    weights, worst = Weights(after.sources), 0.0
    for name, parameter in after.parameters.items():
        if parameter.quantization is None or before.parameters.get(name) is parameter:
            continue
        exact, stored = weights.exact(parameter).astype(np.float64), weights.deployed(parameter).astype(np.float64)
        weights.release()
        largest, off = float(np.abs(exact).max(initial=0.0)), float(np.abs(stored - exact).max(initial=0.0))
        if not off <= (bound := farthest(parameter.quantization, largest)):
            told = f"is {off:.3g} off as {parameter.quantization.scheme} (at most {bound:.3g})"
            raise ValidationError(
                f"pass {promise.name} promised to store numbers near what they are, but {name} {told}"
            )
        worst = max(worst, off / (largest or 1.0))
    return worst


def _untouched(before: Program, function: Function, after: Program, new: Function) -> bool:
    """Whether a pass left every op as it is, on the same parameters: there is nothing to evaluate."""
    names = [op.parameter for op in function.ops if isinstance(op, ParameterOp)]
    return (
        (function.inputs, function.ops, function.results, function.states)
        == (new.inputs, new.ops, new.results, new.states)
    ) and all(before.parameters.get(name) is after.parameters.get(name) for name in names)


def first_difference(old: _Run, old_inputs: Mapping[str, Array], new: _Run, new_inputs: Mapping[str, Array]) -> str:
    """The first op that the pass made whose results occur nowhere in the old program, in words."""
    seen: set[bytes] = set()
    old(old_inputs, lambda op, arrays: seen.update(_print(a) for a in arrays))
    found: list[Op] = []

    def look(op: Op, arrays: list[Array]) -> None:
        if (
            not found
            and not isinstance(op, (ParameterOp, Constant, Reshape))
            and not any(_print(a) in seen for a in arrays)
        ):
            found.append(op)

    new(new_inputs, look)
    if not found:
        return ""
    op = found[0]
    place = f" at {op.origin.location}" if op.origin.location else ""
    return f"; the first op with a new value is {op.name} in {op.origin.path or new.function.name}{place}"


def _print(array: Array) -> bytes:
    """A fingerprint that survives reordering of axes and rounding."""
    with ieee():
        ordered = np.sort(np.round(np.asarray(array, np.float64).ravel(), 6)) + 0.0
    return hashlib.sha256(ordered.tobytes()).digest()


class _Run:
    """Calls of one function with seeded weights, the state carried from call to call.

    Parameters are exact: a pass may change what is quantised, but not the function that is approximated. But those in
    `stored` are as packages store them: on both sides of a pass that stores them so. Of those in `gone`, which have
    lost entries, these are zeros; results are given without the entries that `fewer` has not.
    """

    def __init__(
        self,
        program: Program,
        function: Function,
        value: Callable[[Parameter, bool], Array],
        stored: Mapping[str, Parameter],
        gone: Mapping[str, Parameter] = MappingProxyType({}),
        fewer: Mapping[str, Kept] = MappingProxyType({}),
    ) -> None:
        self.program, self.function, self.value, self.stored, self.gone = program, function, value, stored, gone
        self.fewer = fewer
        self.state: dict[str, Array] | None = None

    def __call__(
        self, inputs: Mapping[str, Array], observe: Observe | None = None, rounding: Rounding | None = None
    ) -> dict[str, Array]:
        results, self.state = evaluate(
            self.function, inputs, self.parameter, self.state, observe=observe, rounding=rounding
        )
        return {name: without(each, self.fewer.get(name, {})) for name, each in results.items()}

    def parameter(self, name: str) -> Array:
        found, own = self.stored.get(name), self.program.parameters[name]
        value = self.value(own if found is None else found, found is not None)
        less = self.gone.get(name)
        return value if less is None or less is own else value * mask(own, less)
