"""Translation validation: a pass's promise is checked by evaluating the program before and after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array, ieee
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.shape import Reshape
from mctc.ir.program import Function, Op, Parameter, Program
from mctc.numerics.battery import CONSTANT, NOISE, SILENCE, draw
from mctc.numerics.difference import Scale, difference
from mctc.numerics.limits import PASS
from mctc.numerics.sizes import symbol_sizes
from mctc.quantize import farthest
from mctc.rewrite.base import Masks, Pass, Rounds, Stores, Within
from mctc.rewrite.masks import mask
from mctc.rewrite.rounding import DifferenceError, rounding
from mctc.weights import Weights

Observe = Callable[[Op, list[Array]], None]
ITEMS = (NOISE, SILENCE, CONSTANT)  # chained calls where there are states: the third shows what an update made of one


class ValidationError(MctcError):
    """A pass changed what a program computes; names the pass, the result and, where found, the first op at fault."""


def validate(promise: Pass, before: Program, after: Program, seed: int = 0) -> float:
    """The largest relative error of any result. Raises ValidationError when the promise is broken."""
    worst = _stored(promise, before, after) if isinstance(promise.promise, Stores) else 0.0
    for name, function in before.functions.items():
        if name not in after.functions:
            raise ValidationError(f"pass {promise.name} lost function {name}")
        if isinstance(promise.promise, Rounds):
            worst = max(worst, _rounded(promise, function, after.functions[name]))
        elif not _untouched(before, function, after, after.functions[name]):
            worst = max(worst, _compare(promise, before, after, function, seed))
    return worst


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


def _compare(promise: Pass, before: Program, after: Program, function: Function, seed: int) -> float:
    new = after.functions[function.name]
    sizes = symbol_sizes(function)
    old_types = {value.name: value.type.substitute(sizes) for value in function.inputs}
    new_types = {result: value.type.substitute(sizes) for result, value in new.results}
    stored = after.parameters if isinstance(promise.promise, Stores) else {}
    tolerance = promise.promise.tolerance if isinstance(promise.promise, Within) else PASS.error or 0.0
    gone = after.parameters if isinstance(promise.promise, Masks) else {}
    worst, old_run, new_run = 0.0, _Run(before, function, stored, gone), _Run(after, new, stored)
    scales: dict[str, Scale] = {}
    for number, item in enumerate(ITEMS):
        inputs = draw(function, sizes, item, seed + number)
        new_inputs = {v.name: adapt(inputs[v.name], old_types[v.name], v.type.substitute(sizes)) for v in new.inputs}
        expected, actual = old_run(inputs), new_run(new_inputs)
        for result, value in function.results:
            back = adapt(actual[result], new_types[result], value.type.substitute(sizes))
            scale = scales.setdefault(result, Scale.of(expected[result]))
            error = difference(expected[result], back, scale).error
            worst = max(worst, error)
            if not error <= tolerance:
                runs = _Run(before, function, stored, gone), _Run(after, new, stored)
                where = first_difference(runs[0], inputs, runs[1], new_inputs)
                raise ValidationError(
                    f"pass {promise.name} promised {promise.promise} "
                    f"but result {result} of {function.name} differs by {error:.3g} on {item.name}{where}"
                )
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
    lost entries, these are zeros.
    """

    def __init__(
        self,
        program: Program,
        function: Function,
        stored: Mapping[str, Parameter],
        gone: Mapping[str, Parameter] = MappingProxyType({}),
    ) -> None:
        self.program, self.function, self.stored, self.gone = program, function, stored, gone
        self.weights = Weights(program.sources)
        self.state: dict[str, Array] | None = None

    def __call__(self, inputs: Mapping[str, Array], observe: Observe | None = None) -> dict[str, Array]:
        results, self.state = evaluate(self.function, inputs, self.parameter, self.state, observe=observe)
        return results

    def parameter(self, name: str) -> Array:
        found, own = self.stored.get(name), self.program.parameters[name]
        value = self.weights.exact(own) if found is None else self.weights.deployed(found)
        less = self.gone.get(name)
        return value if less is None or less is own else value * mask(own, less)
