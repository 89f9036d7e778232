"""One IR function as a Core AI graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from coreai import authoring as ca

from mctc.driver.names import Names, identifier
from mctc.emit.emitter import Emitter
from mctc.emit.laid_out import met_shape
from mctc.emit.rules import Rules
from mctc.emit.stored import array_of
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.leaf import Constant, Leaf, ParameterOp
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import DType, TensorType
from mctc.targets.coreai.constants import Constants
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.places import debug_info

Result = ca.Value | Sequence[ca.Value]


class FunctionEmitter(Emitter[ca.Value]):
    """Writes one function. A rule returns the Core AI values of its op's results."""

    target, language, raises, refers = "coreai", "Core AI", CoreAiError, ca.Value

    def __init__(self, program: Program, function: Function, constants: Constants, states_as_io: bool) -> None:
        super().__init__(program, function, states_as_io=states_as_io)
        self.constants = constants
        self.dtype: Any = constants.dtype
        self._shaped: dict[tuple[Value, tuple[int, ...]], ca.Value] = {}
        self._fixed: set[Value] = set()

    def run(self, rules: Rules[FunctionEmitter, Result]) -> None:
        """Writes the whole function. Raises CoreAiError for an op without a Core AI form."""
        taken, held, given = self.ports.taken, self.ports.held, self.ports.given
        names = Names()
        for name, _ in (*taken, *held, *given):
            names.reserve(name)
        graph = self.constants.graphs.graph(
            identifier(self.function.name),
            {name: self._port(value.type) for name, value in taken},
            {name: self._port(value.type) for name, value in given},
            {name: self._port(state.value.type) for name, state in held},
        )
        with graph.body:
            arguments = graph.arguments()
            self.values |= {value: arguments[name] for name, value in taken}
            self.values |= {state.value: arguments[name] for name, state in held}
            self.emit_ops(rules)
            updates = {name: self.ref(state.update) for name, state in held}
            graph.finish([self.ref(value) for _, value in given], updates)

    def emit_op(self, op: Op, rules: Rules[Any, Any]) -> None:
        """Parameters and constants are written where they are read, in the shape that they are read in."""
        if all(value in self._fixed for value in op.present()):
            self._fixed.update(op.results)
        if not isinstance(op, Leaf):
            with debug_info(op.origin).activate():
                super().emit_op(op, rules)

    # what rules use

    def ref(self, value: Value) -> ca.Value:
        """The Core AI value of an IR value that has been written."""
        if value not in self.values:
            self.values[value] = self.shaped(value, value.type.shape)  # a parameter or constant: written where read
        return self.values[value]

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

    def broadcast(self, op: Binary) -> tuple[ca.Value, ca.Value]:
        """Both operands with equally many axes: the IR broadcasts by role, Core AI by position."""
        shapes = [met_shape(op, value) for value in (op.left, op.right)]
        rank = max(map(len, shapes))
        left, right = (
            self.shaped(value, (1,) * (rank - len(shape)) + shape) for value, shape in zip((op.left, op.right), shapes)
        )
        return left, right

    # the frame of the function

    def _port(self, type_: TensorType) -> tuple[tuple[int, ...], Any]:
        kinds = {DType.I32: np.int32, DType.BOOL: np.bool_}
        return type_.shape, kinds.get(type_.dtype, self.dtype)

    def _in_shape(self, value: Value, shape: tuple[int, ...]) -> ca.Value:
        op = value.owner
        if isinstance(op, ParameterOp):
            return self.constants.parameter(self.program.parameters[op.parameter], shape)
        if isinstance(op, Constant):
            with self.at(op):
                return self.constants.array(array_of(op).reshape(shape), "a constant")
        written = self.ref(value)
        return written if shape == value.type.shape else ca.reshape(written, np.array(shape, np.int32))
