"""Translation validation: a pass's promise is checked by evaluating the program before and after it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.evaluate.reference import evaluate
from mctc.ir.domain import MASK
from mctc.ir.op import Array
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import DType, Role, TensorType
from mctc.rewrite.adapt import adapt
from mctc.rewrite.base import Pass, Within
from mctc.streaming.context import VALID
from mctc.weights import Weights

Observe = Callable[[Op, list[Array]], None]
EXACT = 1e-9  # float64 evaluation: what is left is the order of operations
FRAMES = 16  # frames of every symbolic dimension but the batch, or the least number that makes all extents whole
MASKS = ("key_mask", "mask")  # operands
CALLS = 3  # chained calls of a function that has states: the third shows what an update made of a state


class ValidationError(MctcError):
    """A pass changed what a program computes; names the pass, the result and, where found, the first op at fault."""


def validate(promise: Pass, before: Program, after: Program, seed: int = 0) -> float:
    """The largest relative error of any result. Raises ValidationError when the promise is broken."""
    worst = 0.0
    tolerance = promise.promise.tolerance if isinstance(promise.promise, Within) else EXACT
    for name, function in before.functions.items():
        if name not in after.functions:
            raise ValidationError(f"pass {promise.name} lost function {name}")
        worst = max(worst, _compare(promise, name, before, after, function, tolerance, seed))
    return worst


def _compare(
    promise: Pass, name: str, before: Program, after: Program, function: Function, tolerance: float, seed: int
) -> float:
    new = after.functions[name]
    if _untouched(before, function, after, new):
        return 0.0
    sizes = symbol_sizes(function)
    old_types = {value.name: value.type.substitute(sizes) for value in function.inputs}
    new_types = {result: value.type.substitute(sizes) for result, value in new.results}
    stored = isinstance(promise.promise, Within)
    worst, old_run, new_run = 0.0, _Run(before, function, stored), _Run(after, new, stored)
    for call in range(CALLS if function.states else 1):
        inputs = random_inputs(function, sizes, seed + call)
        new_inputs = {v.name: adapt(inputs[v.name], old_types[v.name], v.type.substitute(sizes)) for v in new.inputs}
        expected, actual = old_run(inputs), new_run(new_inputs)
        for result, value in function.results:
            back = adapt(actual[result], new_types[result], value.type.substitute(sizes))
            error = relative_error(expected[result], back)
            worst = max(worst, error)
            if not error <= tolerance:
                runs = _Run(before, function, stored), _Run(after, new, stored)
                where = first_difference(runs[0], inputs, runs[1], new_inputs)
                raise ValidationError(
                    f"pass {promise.name} promised {promise.promise} "
                    f"but result {result} of {name} differs by {error:.3g}{where}"
                )
    return worst


def _untouched(before: Program, function: Function, after: Program, new: Function) -> bool:
    """Whether a pass left every op as it is, on the same parameters: there is nothing to evaluate."""
    names = [op.attributes["name"] for op in function.ops if op.name == "parameter"]
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
            and op.name not in ("parameter", "constant", "reshape")
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
    ordered = np.sort(np.round(np.asarray(array, np.float64).ravel(), 6)) + 0.0
    return hashlib.sha256(ordered.tobytes()).digest()


class _Run:
    """Calls of one function with seeded weights, the state carried from call to call.

    Parameters are as packages store them if `stored` (a pass that promises a tolerance may annotate them), else exact:
    an exact pass may change what is quantised, but not the function that is approximated.
    """

    def __init__(self, program: Program, function: Function, stored: bool) -> None:
        self.program, self.function, self.stored = program, function, stored
        self.weights = Weights(program.sources)
        self.state: dict[str, Array] | None = None

    def __call__(self, inputs: Mapping[str, Array], observe: Observe | None = None) -> dict[str, Array]:
        results, self.state = evaluate(self.function, inputs, self.parameter, self.state, observe=observe)
        return results

    def parameter(self, name: str) -> Array:
        found = self.program.parameters[name]
        return self.weights.deployed(found) if self.stored and found.quantization else self.weights.exact(found)


def relative_error(expected: Array, actual: Array) -> float:
    """Largest absolute difference over the largest magnitude expected; infinite when shapes differ or NaN appears."""
    if expected.shape != actual.shape or not np.isfinite(actual).all():
        return float("inf")
    scale = float(np.abs(expected).max(initial=0.0)) or 1.0
    return float(np.abs(expected - actual).max(initial=0.0)) / scale


def symbol_sizes(function: Function) -> dict[str, int]:
    """A size for every symbol, such that every extent in the function is a whole number."""
    values = [v for op in function.ops for v in op.results] + function.inputs
    extents = [extent for value in values for extent in value.type.extents]
    symbols = {symbol: role for value in values for symbol, role in _symbols(value.type)}
    sizes: dict[str, int] = {}
    for symbol, role in sorted(symbols.items()):
        step = 1
        for extent in extents:
            step = int(np.lcm(step, extent.coefficient(symbol).denominator))
        sizes[symbol] = step * (2 if role is Role.BATCH else max(1, FRAMES // step))
    return sizes


def _symbols(type_: TensorType) -> list[tuple[str, Role]]:
    return [(symbol, axis.role) for axis in type_.axes for symbol in axis.extent.symbols]


def random_inputs(function: Function, sizes: Mapping[str, int], seed: int) -> dict[str, Array]:
    """Normal noise for tensors, ids below the bound for tokens, zeros and ones for which frames exist."""
    rng, marks = np.random.default_rng(seed), masks(function)
    arrays: dict[str, Array] = {}
    for value in function.inputs:
        type_ = value.type.substitute(sizes)
        if type_.dtype is DType.I32:
            high = type_.bound.value if type_.bound is not None and type_.bound.is_static else 8
            arrays[value.name] = rng.integers(0, high, type_.shape)
        elif value.name in marks:
            arrays[value.name] = rng.integers(0, 2, type_.shape).astype(np.float64)
        else:
            arrays[value.name] = rng.normal(size=type_.shape)
    return arrays


def masks(function: Function) -> set[str]:
    """Inputs that tell which frames exist, by ones and zeros: nothing else is defined for them."""
    uses = function.uses()
    told = {value.name for value in function.inputs if value in uses and all(_masks(op, value) for op in uses[value])}
    return told | {name for name, domain in function.domains.items() if domain == MASK} | {VALID}


def _masks(op: Op, value: Value) -> bool:
    """Whether an op takes the value as its mask alone."""
    places = {index for index, operand in enumerate(op.definition.operand_list()) if operand.name in MASKS}
    return all(index in places for index, given in enumerate(op.operands) if given is value)
