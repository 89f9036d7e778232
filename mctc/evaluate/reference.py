"""Runs a function of the IR on numpy arrays with the ops' own reference semantics."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.half_bits import from_half
from mctc.ir.dims import Extent
from mctc.ir.loops import Frame, Loop, frame_of, in_order
from mctc.ir.op import Array, ieee
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Embedding
from mctc.ir.ops.loop import ScanState
from mctc.ir.program import Function, Op, Value
from mctc.ir.recipes import MOVING
from mctc.ir.rounding import Rounding
from mctc.ir.types import DType, TensorType
from mctc.memory import LARGE, give_back
from mctc.records import dataclass

ParameterValue = Callable[[str], Array]


class Watch(Protocol):
    """Who goes along with an evaluation, of a function without loops.

    same: ops that aren't computed, each with one before it that gives something for its results.
    """

    @property
    def same(self) -> Mapping[Op, Op]: ...

    def instead(self, op: Op, results: Sequence[Array]) -> Sequence[Array]:
        """What stands for the results of one of them, of those of the other."""

    def saw(self, op: Op, values: Mapping[Value, Array]) -> None:
        """The next op: if it was computed, its operands and results are among `values`."""


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
    watch: Watch | None = None,
    wide: Collection[Op] = frozenset(),
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Results and new states by name.

    `parameter` gives a parameter's value by name; `state` holds a step function's states (zeros when None).
    Floating-point values are computed in `dtype`; inputs, states, results of ops and gates in them are rounded by
    `rounding`, if that is given, but what the ops in `wide` give. `observe` sees every op with its results, `watch`
    what they came of, too. Numbers that are not finite are results like others. Raises EvaluationError when an input or
    state is missing or has the wrong shape.
    """
    bound: dict[str, int] = {}
    environment: dict[Value, Array] = {}
    own = watch is None  # whether results may be none of the arrays that are given
    if watch:
        _make_room(entry.value for entry in function.states)
    for value in function.inputs:
        if value.name not in inputs:
            raise EvaluationError(f"{function.name} needs input {value.name!r}")
        environment[value] = _fit(value.name, np.asarray(inputs[value.name]), value.type, bound, dtype, own)
    for entry in function.states:
        array = np.zeros(entry.value.type.shape) if state is None else np.asarray(state[entry.name])
        environment[entry.value] = _fit(entry.name, array, entry.value.type, bound, dtype, own)
    if rounding is not None:
        held = _held_so(function, inputs, state or {}, rounding)
        environment = {value: array if value in held else rounding(array) for value, array in environment.items()}
    ordered = in_order(function.ops)
    same = {} if watch is None else watch.same
    read = _read(function, same)
    last_use = _last_uses(function, ordered, same, read)
    run = _Run(parameter, dtype, rounding, bound, tables(function), wide)
    with ieee():
        for index, item in enumerate(ordered):
            if watch and not isinstance(item, Loop):
                _make_room(item.results)
            if isinstance(item, Loop) or item not in same:
                for op, results in run.item(item, environment):
                    environment.update(zip(op.results, results))
                    if observe:
                        observe(op, results)
            elif watch and not read.isdisjoint(item.results) and same[item].result in environment:
                given = watch.instead(item, [environment[value] for value in same[item].results])
                environment.update(zip(item.results, given))
            if watch and not isinstance(item, Loop):
                watch.saw(item, environment)
            for dead in last_use.get(index, ()):
                environment.pop(dead, None)
    results_by_name = {name: environment[value] for name, value in function.results}
    return results_by_name, {entry.name: environment[entry.update] for entry in function.states}


@dataclass(frozen=True)
class _Run:
    """What the evaluation of every op shares."""

    parameter: ParameterValue
    dtype: Any
    rounding: Rounding | None
    bound: dict[str, int]
    tables: set[Value]
    wide: Collection[Op]

    def item(self, item: Op | Loop, environment: Mapping[Value, Array]) -> Iterator[tuple[Op, list[Array]]]:
        """An op, or every op of a loop, with results over all frames."""
        yield from self.loop(item, environment) if isinstance(item, Loop) else [(item, self.op(item, environment))]

    def op(self, op: Op, environment: Mapping[Value, Array]) -> list[Array]:
        dtype = None if self.tables.issuperset(op.results) else self.dtype
        rounding = None if op in self.wide else self.rounding
        results = _apply(op, environment, self.parameter, dtype, rounding)
        if rounding is not None and not self._is_rounded(op):
            results = [rounding(array) for array in results]
        for value, array in zip(op.results, results):
            _check(op, value.type, array, self.bound)
        return results

    def _is_rounded(self, op: Op) -> bool:
        """Whether rounding changes nothing of results: operands are rounded, and moving their entries leaves them so;
        rows of a table are rounded when they are picked."""
        if self.rounding is None or self.rounding.jitters:
            return False
        return (isinstance(op, MOVING) and not op.numbers) or self.tables.issuperset(op.results)

    def loop(self, loop: Loop, environment: Mapping[Value, Array]) -> Iterator[tuple[Op, list[Array]]]:
        """Frame after frame; what every op gave is told over all of them."""
        frame = frame_of(loop)
        held = [self._start(state, environment) for state in loop.states]
        told: list[list[Array]] = []
        for t in range(loop.frames.substitute(self.bound).value):
            inside = dict(environment)
            for old, new in frame.taken.items():
                if new is not old:
                    inside[new] = np.take(environment[old], [t], axis=old.type.sequence)
            inside.update(zip(frame.before, held, strict=True))
            for op in frame.ops:
                inside.update(zip(op.results, self.op(op, inside)))
            told.append([inside[value] for value in self._told(frame)])
            held = [inside[value] for value in frame.after]
        columns = iter([np.concatenate(each, axis=v.type.sequence) for v, each in zip(self._told(frame), zip(*told))])
        for op in (*loop.states, *loop.ops):
            yield op, [next(columns) for _ in op.results]
        last = [array.reshape(self._shape(v.type)) for array, v in zip(held, loop.close.results[-len(held) :])]
        yield loop.close, [*columns, *last]

    @staticmethod
    def _told(frame: Frame) -> list[Value]:
        """The values of a frame: the states before it, what its ops give, and what leaves it."""
        return [*frame.before, *(value for op in frame.ops for value in op.results), *frame.after, *frame.others]

    def _start(self, state: ScanState, environment: Mapping[Value, Array]) -> Array:
        type_ = state.result.type
        assert type_.sequence is not None
        shape = self._shape(type_.with_extent(type_.sequence, 1))
        zeros: Array = np.zeros(shape, self.dtype)
        return zeros if state.start is None else environment[state.start].reshape(shape)

    def _shape(self, type_: TensorType) -> tuple[int, ...]:
        return type_.substitute(self.bound).shape


def _make_room(values: Iterable[Value]) -> None:
    """Before large values are made, and as many numbers again by who goes along."""
    if any(value.type.is_static and value.type.size >= LARGE for value in values):
        give_back()


def _held_so(
    function: Function, inputs: Mapping[str, Array], state: Mapping[str, Array], rounding: Rounding
) -> set[Value]:
    """Inputs and states that come as arrays of what is rounded to, so that rounding changes nothing of them."""
    if rounding.dtype is None or rounding.jitters:
        return set()
    given = [(value, inputs[value.name]) for value in function.inputs]
    given += [(entry.value, state[entry.name]) for entry in function.states if entry.name in state]
    return {value for value, array in given if np.asarray(array).dtype == rounding.dtype}


def _apply(
    op: Op, environment: Mapping[Value, Array], parameter: ParameterValue, dtype: Any, rounding: Rounding | None
) -> list[Array]:
    if isinstance(op, ParameterOp):
        return [np.asarray(parameter(op.parameter), dtype)]  # None: as it is
    return applied(op, environment, dtype, rounding)


def applied(op: Op, environment: Mapping[Value, Array], dtype: Any, rounding: Rounding | None = None) -> list[Array]:
    """What an op but a parameter gives for operands that are in `environment`, in `dtype` where they are floats.

    rounding: of what is rounded inside of it. To be called in `ieee`.
    """
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


def tables(function: Function) -> set[Value]:
    """Parameters of which only rows are picked: no more precise for being copied as a whole."""
    uses = function.uses()
    return {
        op.result
        for op in function.ops
        if isinstance(op, ParameterOp) and {type(user) for user in uses.get(op.result, ())} == {Embedding}
    }


def _read(function: Function, same: Mapping[Op, Op]) -> set[Value]:
    """Values that leave the function or that an op takes which is computed; without `same` nobody asks."""
    if not same:
        return set()
    return {*function.outputs, *(value for op in function.ops if op not in same for value in op.present())}


def _last_uses(
    function: Function, ordered: Sequence[Op | Loop], same: Mapping[Op, Op], read: set[Value]
) -> dict[int, list[Value]]:
    """Values by the position behind which nobody reads them. Of an op that another's results stand for, these are read
    where anybody reads its own, and its operands are not."""
    last: dict[Value, int] = {}
    for index, item in enumerate(ordered):
        for op in (*item.states, *item.ops, item.close) if isinstance(item, Loop) else (item,):
            used = op.present() if op not in same else same[op].results if read.intersection(op.results) else ()
            last.update(dict.fromkeys((*used, *op.results), index))
    for value in function.outputs:
        last.pop(value, None)
    table: dict[int, list[Value]] = {}
    for value, index in last.items():
        table.setdefault(index, []).append(value)
    return table


def _fit(name: str, array: Array, type_: TensorType, bound: dict[str, int], dtype: Any, own: bool) -> Array:
    if array.ndim != type_.rank:
        raise EvaluationError(f"{name} has shape {list(array.shape)}, but its type is {type_}")
    for extent, have in zip(type_.extents, array.shape):
        bind(extent, have, bound)
        if extent.substitute(bound).value != have:
            raise EvaluationError(f"{name} has shape {list(array.shape)}, but its type is {type_}")
    wanted = dtype if type_.dtype.is_float else {DType.BOOL: np.bool_}.get(type_.dtype, np.int64)
    return from_half(array) if array.dtype == np.float16 and wanted is np.float32 else array.astype(wanted, copy=own)


def bind(extent: Extent, have: int, bound: dict[str, int]) -> None:
    """Learns a symbol's value from an extent of one term (T, T/4, 2*T) and its number."""
    symbols = extent.symbols
    if len(symbols) == 1 and not symbols & bound.keys() and len(extent.terms) == 1:
        symbol = next(iter(symbols))
        value = Extent.of(have) / Extent.of(extent.coefficient(symbol) or 1)
        if value.terms and value.terms[0][1].denominator == 1:
            bound[symbol] = value.value


def _check(op: Op, type_: TensorType, array: Array, bound: Mapping[str, int]) -> None:
    sized = type_ if type_.is_static else type_.substitute(bound)
    if sized.is_static and sized.shape != array.shape:
        raise EvaluationError(f"{op.name} at {op.origin.path or '?'} gave shape {array.shape}, inferred was {type_}")
