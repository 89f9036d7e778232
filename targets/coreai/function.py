"""One IR function as a Core AI graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from coreai import authoring as ca

from mctc.driver.forms import rule_of
from mctc.driver.names import STATE_OUT, Names, identifier, place
from mctc.ir.lookups import device_inputs, device_ops
from mctc.ir.ops.broadcast import broadcast_axes, spread
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Axis, DType, TensorType
from mctc.targets.coreai.constants import Constants
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.places import debug_info

Result = ca.Value | Sequence[ca.Value]
Rule = Callable[[Any, "FunctionEmitter"], Result]


class FunctionEmitter:
    """Writes one function. A rule returns the Core AI values of its op's results."""

    def __init__(self, program: Program, function: Function, constants: Constants, states_as_io: bool) -> None:
        self.program, self.function, self.constants = program, function, constants
        self.dtype: Any = constants.dtype
        self._states_as_io = states_as_io
        self._values: dict[Value, ca.Value] = {}
        self._shaped: dict[tuple[Value, tuple[int, ...]], ca.Value] = {}
        self._fixed: set[Value] = set()

    def run(self, rules: Mapping[str, Rule]) -> None:
        """Writes the whole function. Raises CoreAiError for an op without a Core AI form."""
        function = self.function
        inputs = {identifier(name): value for name, value in device_inputs(function)}
        states = {identifier(state.name): state for state in function.states}
        results = [(identifier(name), value) for name, value in function.results]
        held = {name: self._port(state.value.type) for name, state in states.items()}
        taken = {name: self._port(value.type) for name, value in inputs.items()}
        given = {name: self._port(value.type) for name, value in results}
        if self._states_as_io:
            taken, held = taken | held, {}
            results += [(name + STATE_OUT, state.update) for name, state in states.items()]
            given |= {name + STATE_OUT: taken[name] for name in states}
        ports = Names()
        for name in (*taken, *held, *(name for name, _ in results)):
            ports.reserve(name)
        graph = self.constants.graphs.graph(identifier(function.name), taken, given, held)
        with graph.body:
            arguments = graph.arguments()
            self._values |= {value: arguments[name] for name, value in inputs.items()}
            self._values |= {state.value: arguments[name] for name, state in states.items()}
            for op in device_ops(function):
                self._write(op, rules)
            updates = {name: self.ref(states[name].update) for name in held}
            graph.finish([self.ref(value) for _, value in results], updates)

    # what rules use

    def ref(self, value: Value) -> ca.Value:
        """The Core AI value of an IR value that has been written."""
        if value not in self._values:
            self._values[value] = self.shaped(value, value.type.shape)  # a parameter or constant: written where read
        return self._values[value]

    def shaped(self, value: Value, shape: Sequence[int]) -> ca.Value:
        """A value under another shape of the same entries; a parameter or constant is stored in it."""
        key = (value, tuple(shape))
        if key not in self._shaped:
            self._shaped[key] = self._in_shape(value, tuple(shape))
        return self._shaped[key]

    def is_fixed(self, value: Value) -> bool:
        """Whether a value that has been written depends on no input and no state."""
        return value in self._fixed

    def number(self, value: float) -> ca.Value:
        """One number of the type that the asset computes in. Raises CoreAiError where it has no place there."""
        return self.constants.array(np.float64(value).reshape(()), "a factor or limit")

    def broadcast(self, op: Op, left: Value, right: Value) -> tuple[ca.Value, ca.Value]:
        """Two operands with equally many axes: the IR broadcasts by role, Core AI by position."""
        axes = broadcast_axes(left.type, right.type)
        return self._fitted(op, left, axes), self._fitted(op, right, axes)

    # the frame of the function

    def _write(self, op: Op, rules: Mapping[str, Rule]) -> None:
        if all(value in self._fixed for value in op.operands if value is not None):
            self._fixed.update(op.results)
        if op.name in ("parameter", "constant"):
            return
        rule = rule_of(op, "coreai", rules, lambda made: _values(made, len(op.results)))
        if rule is None:
            raise CoreAiError(
                f"{place(op)} has no Core AI form", hint="a deploy pass has to lower it: see `mctc passes`"
            )
        with debug_info(op.origin).activate():
            written = rule(op, self)
        values = [written] if isinstance(written, ca.Value) else list(written)
        for result, value in zip(op.results, values, strict=True):
            self._values[result] = value

    def _port(self, type_: TensorType) -> tuple[tuple[int, ...], Any]:
        kinds = {DType.I32: np.int32, DType.BOOL: np.bool_}
        return type_.shape, kinds.get(type_.dtype, self.dtype)

    def _in_shape(self, value: Value, shape: tuple[int, ...]) -> ca.Value:
        op = value.owner
        if op is not None and op.name == "parameter":
            return self.constants.parameter(self.program.parameters[op.attributes["name"]], shape)
        if op is not None and op.name == "constant":
            array = np.asarray(op.attributes["value"])
            array = array.astype(np.float64) if value.type.dtype.is_float else array
            try:
                return self.constants.array(array.reshape(shape), "a constant")
            except CoreAiError as error:
                raise CoreAiError(f"{place(op)}: {error}") from error
        written = self.ref(value)
        return written if shape == value.type.shape else ca.reshape(written, np.array(shape, np.int32))

    def _fitted(self, op: Op, value: Value, axes: tuple[Axis, ...]) -> ca.Value:
        marks = np.arange(value.type.size).reshape(value.type.shape)
        fitted = spread(marks, value.type, axes)
        if not np.array_equal(fitted.ravel(), marks.ravel()):
            raise CoreAiError(f"{place(op)}: {value.type} needs a transpose before it meets the other operand")
        return self.shaped(value, (1,) * (len(axes) - fitted.ndim) + fitted.shape)


def _values(made: Any, count: int) -> bool:
    """Whether it is the value of a result, or a list of as many as there are."""
    if isinstance(made, ca.Value):
        return count == 1
    return isinstance(made, (list, tuple)) and len(made) == count and all(isinstance(each, ca.Value) for each in made)
