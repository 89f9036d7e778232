"""A function of an artifact against the program, op by op: what is alike is computed once.

By induction over the ops the function computes what the program does: where it has the program's values so far, the
operations that make the next one of these give what the op gives. Operations that differ in nothing but names, for ops
that do so too, are one function of what they are given, called once; every stored number is compared, bit for bit. An
op is given what the program computes, or what an op like the one before it gave: the rounds of a `repeat` cost one.

Nothing here calls an artifact wrong: what is not proven is for the proof of the whole to judge.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from mctc.evaluate.parts import Piece, Pieces
from mctc.fingerprint import fingerprint
from mctc.ir.attribute_value import is_array
from mctc.ir.lookups import lookups
from mctc.ir.loops import Loop, in_order
from mctc.ir.op import Array
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.elementwise import Add, Mul, Neg, Scale, Sub
from mctc.ir.ops.leaf import Constant, Leaf, ParameterOp
from mctc.ir.ops.linear import Linear, MatMul
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.ops.shape import MergeChannels, SplitChannels
from mctc.ir.program import Function, Op, Parameter, Program, Value
from mctc.ir.recipes import MOVING
from mctc.proof.alike import is_alike_along
from mctc.proof.apart import Apart
from mctc.proof.beyond import Beyond
from mctc.records import dataclass
from mctc.runtime.step import Step
from mctc.weights import Weights

_ROUND = re.compile(r"\d+")  # in the name of a parameter: of which round it is
_PART = re.compile(r"_\d+$")  # which part of a table that was cut; the first has none


POLYNOMIAL = (
    *MOVING,
    SplitChannels,
    MergeChannels,
    Conv1d,
    Conv2d,
    Linear,
    MatMul,
    Add,
    Sub,
    Mul,
    Neg,
    Scale,
    ReduceSum,
)
"""Ops whose results are polynomials in their operands. Two that agree on noise agree everywhere: one call shows it."""


class UnprovenError(Exception):
    """Something that this proof does not take, or that is not as it is in the program."""


@dataclass(frozen=True)
class Parts:
    """A function of an artifact: its pieces, what values of the program are called there, and what calls the whole.

    proven: parameters, each with where it lies, that were found there as they should be; functions may share them.
    """

    pieces: Pieces
    names: Mapping[Value, str]
    step: Step
    proven: set[Hashable]


@dataclass(frozen=True)
class _Taken:
    """A piece with the values that it is called with, and what it has in common with others that do the same."""

    likeness: Hashable
    piece: Piece
    values: tuple[Value, ...]


class OpByOp:
    """Goes along with evaluations of the program (`Watch`), call by call. Raises UnprovenError in them.

    error: the largest difference of any op's result so far, of its largest magnitude, in this call or the first.
    limit: that up to which it is rounding. beyond: where what a device computes in has a range.
    """

    def __init__(
        self, function: Function, program: Program, weights: Weights, parts: Parts, limit: float, beyond: Beyond | None
    ) -> None:
        if any(isinstance(item, Loop) for item in in_order(function.ops)):
            raise UnprovenError("an op of a loop has no results of its own")
        self.function, self.program, self.weights = function, program, weights
        self.parts, self.limit, self.beyond = parts, limit, beyond
        self.error = 0.0
        self._lookups = {lookup.op: token for token, lookup in lookups(function).items()}
        self._ports = {port.spec: port for port in parts.step.function.inputs}
        self._scales: dict[tuple[Hashable, int], float] = {}
        self._stored: set[str] = set()
        self._decoded: set[Hashable] = set()
        self._shown: set[Hashable] = set()
        self._inputs: Mapping[str, Array] = {}
        self._pieces = {op: self._of(op) for op in function.ops if not isinstance(op, Leaf) and op not in self._lookups}
        self._first, self._places = self._firsts()
        self.same: Mapping[Op, Op] = {}
        self._leaving = [(value, name, self._left(value, name)) for value, name in self._frame()]
        if rest := parts.pieces.rest():
            raise UnprovenError(f"{rest[0]} is no part of what an op became")

    def begin(self, inputs: Mapping[str, Array], *, shares: bool) -> OpByOp:
        """Another call: its inputs, and whether an op may be given what another one gave."""
        self._inputs, self.same = inputs, self._first if shares else {}
        if self.beyond is not None:
            self.beyond.begin()
        for value in self.function.inputs:
            if value not in self._lookups.values():
                self._is_given(value, inputs[value.name])
        return self

    def instead(self, op: Op, results: Sequence[Array]) -> Sequence[Array]:
        """The results of the first op of its like, moved along by so many numbers as others stand in before: else an op
        on two of them would not tell one from the other."""
        return [_moved_along(array, self._places[op]) for array in results]

    def saw(self, op: Op, values: Mapping[Value, Array]) -> None:
        """Calls the piece that stands for an op, if it is the first of its like."""
        if isinstance(op, ParameterOp):
            self._is_stored(op, None if op in self.same else values[op.result])
        elif op in self._lookups:
            self._is_given(op.result, values[op.result])
        if self.beyond is not None:
            self.beyond.saw(op, values, self)
        if op not in self._pieces or op in self._first or op in self.same:
            return
        taken = self._pieces[op]
        if isinstance(op, POLYNOMIAL) and taken.likeness in self._shown:
            return
        self._holds(taken, values, [values[result] for result in op.results], op)
        if all(isinstance(each.owner, ParameterOp) or _varies(values[each]) for each in taken.values):
            self._shown.add(taken.likeness)

    def end(self, values: Mapping[Value, Array]) -> None:
        """Results and new states: that they leave as what they are. values: of those."""
        for value, name, taken in self._leaving:
            if values[value].dtype.kind == "f" and not _is_finite(values[value]):
                raise UnprovenError(f"{name} is not finite")
            if self.beyond is not None and self.beyond.alters(value, values[value]):
                raise UnprovenError(f"{name} is another in fp16")
            self._holds(taken, values, [values[value]])

    def _left(self, value: Value, name: str) -> _Taken:
        return self._piece("leaves", [] if isinstance(value.owner, Constant) else [value], [name])

    def _firsts(self) -> tuple[dict[Op, Op], dict[Op, int]]:
        """Ops that are like one before, each with the first of its like, and which of those like it they are.
        Parameters are like those of other rounds. None is left whose results have too few numbers to be told apart."""
        alike: dict[Hashable, list[Op]] = {}
        first: dict[Op, Op] = {}
        places: dict[Op, int] = {}
        for op in self.function.ops:
            if isinstance(op, ParameterOp):
                parameter = self.program.parameters[op.parameter]
                told = parameter.type, parameter.quantization, parameter.wide
                likeness: Hashable = (_ROUND.sub("#", _PART.sub("", op.parameter)), *told)
            elif op in self._pieces:
                likeness = self._pieces[op].likeness
            else:
                continue
            before = alike.setdefault(likeness, [])
            if before and len(before) < min(value.type.size for value in op.results):
                first[op], places[op] = before[0], len(before)
            before.append(op)
        return first, places

    def _of(self, op: Op) -> _Taken:
        return self._piece(_described(op), _taken(op), [self._name(value) for value in op.results])

    def _piece(self, described: Hashable, taken: Sequence[Value], names: Sequence[str]) -> _Taken:
        called = [self._name(value) for value in taken]
        first = dict(zip(reversed(called), reversed(taken), strict=True))
        inputs = tuple(dict.fromkeys(called))  # values that are the same there have one name
        piece = self.parts.pieces.between(inputs, names)
        if piece is None:
            raise UnprovenError(f"{described} takes more there than in the program")
        places = tuple(inputs.index(name) for name in called)
        return _Taken((described, places, piece.likeness), piece, tuple(first[name] for name in inputs))

    def _name(self, value: Value) -> str:
        if value not in self.parts.names:
            raise UnprovenError(f"{value} has no name there")
        return self.parts.names[value]

    def _holds(
        self, taken: _Taken, values: Mapping[Value, Array], expected: Sequence[Array], op: Op | None = None
    ) -> None:
        axis, shapes = taken.piece.cut_along, [each.shape for each in expected]
        ends = axis is not None and op is not None and is_alike_along(op, axis) and shapes == [*taken.piece.shapes]
        compared = [Apart(wanted, some=ends) for wanted in expected]
        for place, made in taken.piece.in_parts([values[value] for value in taken.values], ends=ends):
            for each, actual in zip(compared, made, strict=True):
                each.add(place, actual)
        for number, each in enumerate(compared):
            key = taken.likeness, number
            error, self._scales[key] = each.of(self._scales.get(key, 0.0))
            self.error = max(self.error, error)
            if not error <= self.limit:
                raise UnprovenError(f"{taken.likeness} differs by {error:.3g}")

    def _is_stored(self, op: ParameterOp, value: Array | None) -> None:
        """Every number of a parameter that the function reads, once. value: its numbers, where they are known."""
        if op.result not in self.parts.names or op.parameter in self._stored:
            return  # a table of the caller's
        name, parameter = self.parts.names[op.result], self.program.parameters[op.parameter]
        lies = self.parts.pieces.lies(name)
        if lies is None or (op.parameter, lies) not in self.parts.proven:
            self._is_held(parameter, name, value)
            self.parts.proven.add((op.parameter, lies))
        self._stored.add(op.parameter)

    def _is_held(self, parameter: Parameter, name: str, value: Array | None) -> None:
        likeness, held = self.parts.pieces.stored(name)
        plain = self.parts.pieces.is_as_stored(name) and held[0].shape == parameter.type.shape
        known = self.weights.fingerprints(parameter)
        same = known is not None and tuple(map(fingerprint, held)) == known
        stored = None if same else self.weights.stored(parameter)
        if stored is not None:
            wanted = (stored,) if isinstance(stored, np.ndarray) else stored.parts
            same = len(held) == len(wanted) and all(map(_same_bits, held, wanted))
        as_it_is = same and plain
        if not as_it_is and not (same and likeness in self._decoded):
            piece = self.parts.pieces.between((), (name,))
            expected = self.weights.deployed(parameter) if value is None else value
            if piece is None or not np.array_equal(piece(())[0], expected):
                raise UnprovenError(f"{parameter.name} is stored otherwise")
            if same:
                self._decoded.add(likeness)

    def _is_given(self, value: Value, array: Array) -> None:
        """What comes in by a port: an input, or the rows of a table that a caller looks up."""
        spec = self._lookups[value.owner].name if value.owner in self._lookups else value.name
        port = self._ports.get(spec)
        if port is None or self._name(value) != port.name:
            raise UnprovenError(f"{spec} is no input there")
        if not np.array_equal(self.parts.step.given(port, self._inputs[spec]), array):
            raise UnprovenError(f"{port.name} is given something else")

    def _frame(self) -> list[tuple[Value, str]]:
        """What leaves the function, by what it is called where it does. Raises where something comes in otherwise."""
        frame, called = self.parts.pieces.frame(), self.parts.step.function
        passed = {state.spec: (state.name, new.name) for state, new in zip(called.states, called.state_outputs)}
        inputs = {port.name for port in self._ports.values()} | {read for read, _ in passed.values()}
        if frame is None or set(frame.inputs) != inputs:
            raise UnprovenError("values come in by other names")
        leaving = {port.spec: port.name for port in called.outputs}
        found = [(value, leaving.get(name, "")) for name, value in self.function.results]
        found += [(state.update, passed[state.name][1]) for state in self.function.states if passed]
        if sorted(name for _, name in found) != sorted(frame.outputs):
            raise UnprovenError("values leave by other names")
        held = {} if passed else {port.spec: frame.states.get(port.name, ("", "")) for port in called.states}
        for state in self.function.states:
            read, written = held.get(state.name) or passed[state.name]
            if self._name(state.value) != read:
                raise UnprovenError(f"{state.name} is read elsewhere")
            found += [(state.update, written)] if held else []
        return found


def _is_finite(array: Array) -> bool:
    """Whether all numbers are: both ends of them are, and NaN is both ends where it is among them."""
    return isfinite(array.max(initial=0)) and isfinite(array.min(initial=0))


def _varies(array: Array) -> bool:
    """Whether it has different numbers, as noise has among its first."""
    some = array.reshape(-1)[:256]
    return bool((some != some[:1]).any())


def _taken(op: Op) -> list[Value]:
    """Operands, each once. Constants are part of the operations."""
    return [value for value in dict.fromkeys(op.present()) if not isinstance(value.owner, Constant)]


def _described(op: Op) -> Hashable:
    """All that an op's results depend on but the values of its operands; those of constants are told."""
    seen: dict[Value, int] = {}
    operands = tuple(
        None if value is None else (value.type, seen.setdefault(value, len(seen)), *_numbers(value.owner))
        for value in op.operands
    )
    types = tuple(value.type for value in op.results)
    return op.name, operands, types, tuple((key, _frozen(each)) for key, each in op.attributes.items())


def _numbers(owner: Op | None) -> tuple[Hashable, ...]:
    return (_frozen(owner.value),) if isinstance(owner, Constant) else ()


def _frozen(value: Any) -> Hashable:
    if is_array(value):
        array = np.asarray(value)
        return array.dtype.str, array.shape, array.tobytes()
    if isinstance(value, Mapping):
        return tuple((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return value.hex() if isinstance(value, float) else (type(value), value)


def _moved_along(array: Array, count: int) -> Array:
    """np.roll over all numbers, which takes three times as long for few."""
    flat, count = array.reshape(-1), count % (array.size or 1)
    return np.concatenate((flat[flat.size - count :], flat[: flat.size - count])).reshape(array.shape)


def _same_bits(held: Any, wanted: Array) -> bool:
    """Whether an array has the numbers of another in their order, bit for bit: NaNs and the signs of zeros included."""
    if not isinstance(held, np.ndarray) or held.dtype != wanted.dtype or held.size != wanted.size:
        return False
    bits = np.dtype(f"u{held.dtype.itemsize}")
    one, other = (np.ascontiguousarray(each).reshape(-1).view(bits) for each in (held, wanted))
    return np.array_equal(one, other)
