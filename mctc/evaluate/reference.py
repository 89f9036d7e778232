"""Runs a function of the IR on numpy arrays with the ops' own reference semantics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.ir.dims import Extent
from mctc.ir.op import Array, ieee
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Embedding
from mctc.ir.program import Function, Op, Value
from mctc.ir.rounding import Rounding
from mctc.ir.types import DType, TensorType

ParameterValue = Callable[[str], Array]


class EvaluationError(MctcError):
    """Inputs that do not fit the function, or a result that contradicts its inferred type."""


def evaluate(
    function: Function,
    inputs: Mapping[str, Array],
    parameter: ParameterValue,
    state: Mapping[str, Array] | None = None,
    dtype: Any = np.float64,
    observe: Callable[[Op, list[Array]], None] | None = None,
    rounding: Rounding | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Results and new states by name.

    `parameter` gives a parameter's value by name; `state` holds a step function's states (zeros when None).
    Floating-point values are computed in `dtype`; inputs, states, results of ops and gates in them are rounded by
    `rounding`, if that is given. `observe` sees every op with its results. Numbers that are not finite are results like
    others. Raises EvaluationError when an input or state is missing or has the wrong shape.
    """
    bound: dict[str, int] = {}
    environment: dict[Value, Array] = {}
    for value in function.inputs:
        if value.name not in inputs:
            raise EvaluationError(f"{function.name} needs input {value.name!r}")
        environment[value] = _fit(value.name, np.asarray(inputs[value.name]), value.type, bound, dtype)
    for entry in function.states:
        array = np.zeros(entry.value.type.shape) if state is None else np.asarray(state[entry.name])
        environment[entry.value] = _fit(entry.name, array, entry.value.type, bound, dtype)
    if rounding is not None:
        environment = {value: rounding(array) for value, array in environment.items()}
    last_use, tables = _last_uses(function), _tables(function)
    for index, op in enumerate(function.ops):
        with ieee():
            results = _apply(op, environment, parameter, None if tables.issuperset(op.results) else dtype, rounding)
            if rounding is not None:
                results = [rounding(array) for array in results]
        for value, array in zip(op.results, results):
            _check(op, value.type, array, bound)
            environment[value] = array
        if observe:
            observe(op, results)
        for dead in last_use.get(index, ()):
            environment.pop(dead, None)
    results_by_name = {name: environment[value] for name, value in function.results}
    return results_by_name, {entry.name: environment[entry.update] for entry in function.states}


def _apply(
    op: Op, environment: Mapping[Value, Array], parameter: ParameterValue, dtype: Any, rounding: Rounding | None
) -> list[Array]:
    if isinstance(op, ParameterOp):
        return [np.asarray(parameter(op.parameter), dtype)]  # None: as it is
    operands: list[Any] = [None if value is None else environment[value] for value in op.operands]
    declared = op.fields
    if declared and declared[-1].variadic:
        operands = [*operands[: len(declared) - 1], tuple(operands[len(declared) - 1 :])]
    rounded = {"rounding": rounding} if rounding is not None and op.rounds else {}
    given = op.reference(*operands, **rounded)
    if not isinstance(given, (tuple, list)) or len(given) != len(op.results):
        raise EvaluationError(f"`reference` of op {op.name} does not give its {len(op.results)} results in a tuple")
    results = [np.asarray(array) for array in given]
    return [a.astype(dtype, copy=False) if v.type.dtype.is_float else a for v, a in zip(op.results, results)]


def _tables(function: Function) -> set[Value]:
    """Parameters of which only rows are picked: no more precise for being copied as a whole."""
    uses = function.uses()
    return {
        op.result
        for op in function.ops
        if isinstance(op, ParameterOp) and {type(user) for user in uses.get(op.result, ())} == {Embedding}
    }


def _last_uses(function: Function) -> dict[int, list[Value]]:
    last: dict[Value, int] = {}
    for index, op in enumerate(function.ops):
        for value in (*op.operands, *op.results):
            if value is not None:
                last[value] = index
    for value in function.outputs:
        last.pop(value, None)
    table: dict[int, list[Value]] = {}
    for value, index in last.items():
        table.setdefault(index, []).append(value)
    return table


def _fit(name: str, array: Array, type_: TensorType, bound: dict[str, int], dtype: Any) -> Array:
    if array.ndim != type_.rank:
        raise EvaluationError(f"{name} has shape {list(array.shape)}, but its type is {type_}")
    for extent, have in zip(type_.extents, array.shape):
        bind(extent, have, bound)
        if extent.substitute(bound).value != have:
            raise EvaluationError(f"{name} has shape {list(array.shape)}, but its type is {type_}")
    return array.astype(dtype if type_.dtype.is_float else {DType.BOOL: np.bool_}.get(type_.dtype, np.int64))


def bind(extent: Extent, have: int, bound: dict[str, int]) -> None:
    """Learns a symbol's value from an extent of one term (T, T/4, 2*T) and its number."""
    symbols = extent.symbols
    if len(symbols) == 1 and not symbols & bound.keys() and len(extent.terms) == 1:
        symbol = next(iter(symbols))
        value = Extent.of(have) / Extent.of(extent.coefficient(symbol) or 1)
        if value.terms and value.terms[0][1].denominator == 1:
            bound[symbol] = value.value


def _check(op: Op, type_: TensorType, array: Array, bound: Mapping[str, int]) -> None:
    expected = tuple(extent.substitute(bound) for extent in type_.extents)
    if all(e.is_static for e in expected) and tuple(e.value for e in expected) != array.shape:
        raise EvaluationError(f"{op.name} at {op.origin.path or '?'} gave shape {array.shape}, inferred was {type_}")
