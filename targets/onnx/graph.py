"""One IR function as an ONNX graph: nodes, the names of values, and their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from mctc.driver.names import Names
from mctc.emit.emitter import Emitter
from mctc.emit.ports import element_types
from mctc.emit.rules import Rules
from mctc.ir.dims import Extent
from mctc.ir.loops import loops
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Leaf
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import TensorType
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.sizes import Sizes
from mctc.targets.onnx.tensors import KINDS, TensorFile, tensor
from mctc.targets.onnx.weights import emit_parameter
from mctc.weights import Weights

ELEMENTS = element_types("float32")
Result = str | Sequence[str]


class GraphEmitter(Emitter[str]):
    """Writes one function. A rule emits the nodes of one op and returns the names of its results.

    `made` tells for the name of every node which IR op it came from. Weights and constants become initialisers, large
    ones in `file` where there is one. States are inputs, their new values outputs.
    """

    target, language, raises = "onnx", "ONNX", OnnxError

    def __init__(self, program: Program, function: Function, weights: Weights, file: TensorFile | None = None) -> None:
        super().__init__(program, function, states_as_io=True, lookups=False)
        self.weights, self.file = weights, file
        self.names, self._node_names = Names(), Names()
        self.sizes = Sizes(self)
        self.made: dict[str, Op] = {}
        self.nodes: list[NodeProto] = []
        self.initialisers: list[TensorProto] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.types: list[Any] = []  # of values in between
        self._op: Op | None = None
        self._start = 0  # of its nodes
        self._bodies = 0  # that are being written
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._parameters: dict[str, str] = {}
        self._wanted: dict[Value, str] = {}  # the output that a value leaves the function as

    def run(self, rules: Rules[GraphEmitter, Result]) -> None:
        """Writes the whole function. Raises OnnxError for an op without an ONNX form."""
        for name, value in self.ports.taken:
            self.values[value] = self.names.reserve(name)
            self.inputs.append(_typed(name, value.type))
            self.sizes.learn(name, value.type)
        for name, value in self.ports.given:
            self.outputs.append(_typed(self.names.reserve(name), value.type))
            self._wanted.setdefault(value, name)
        self.rules = rules
        looped = {op for loop in loops(self._ops) for op in (*loop.states, *loop.ops)}
        self._ops = [op for op in self._ops if op not in looped]  # the rule of the scan that closes a loop writes these
        self.emit_ops(rules)
        self._op = None
        for name, value in self.ports.given:
            if self.values[value] != name:
                self.nodes.append(self._node("Identity", [self.values[value]], [name], {}))

    # what rules use

    def optional(self, value: Value | None) -> str:
        """The name of an operand; '' is ONNX's name for an absent one."""
        return "" if value is None else self.ref(value)

    def node(self, kind: str, *inputs: str, called: str | None = None, **attributes: Any) -> str:
        """Writes a node of one result; its name."""
        return self.several(kind, inputs, 1, called, **attributes)[0]

    def several(
        self, kind: str, inputs: Sequence[str], count: int, called: str | None = None, **attributes: Any
    ) -> list[str]:
        """Writes a node of `count` results; their names."""
        base = called or _path(self._op, kind)
        results = [self.names.fresh(base if count == 1 else f"{base}_{i}") for i in range(count)]
        self.nodes.append(self._node(kind, inputs, results, attributes))
        return results

    def initialiser(self, name: str, array: Array, kind: str | None = None) -> str:
        """A stored array under a name like the one that is asked for."""
        name = self.names.fresh(name)
        self.initialisers.append(tensor(name, array, kind, self.file))
        return name

    def constant(self, array: Array) -> str:
        """A compile-time array; equal ones are stored once. Floats become fp32."""
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        key = (array.dtype.name, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.initialiser("constant", array)
        return self._constants[key]

    def ints(self, values: Sequence[int]) -> str:
        """Axes, extents and the like, as ONNX takes them."""
        return self.constant(np.asarray(values, np.int64))

    def number(self, value: float, type_: TensorType) -> str:
        """A scalar of the element type of a tensor."""
        return self.constant(np.asarray(value, ELEMENTS[type_.dtype]))

    def parameter(self, name: str) -> str:
        """The fp32 value of a parameter, written once."""
        if name not in self._parameters:
            self._parameters[name] = emit_parameter(self, self.program.parameters[name], self.weights)
        return self._parameters[name]

    def cast(self, name: str, element: str, called: str | None = None) -> str:
        return self.node("Cast", name, called=called, to=KINDS[element])

    def reshaped(self, name: str, have: Sequence[Extent], want: Sequence[Extent]) -> str:
        """The same entries in row-major order under other extents."""
        return name if tuple(have) == tuple(want) else self.node("Reshape", name, self.sizes.reshaping(have, want))

    def transposed(self, name: str, order: Sequence[int]) -> str:
        """Axes in another order."""
        return name if list(order) == sorted(order) else self.node("Transpose", name, perm=list(order))

    @contextmanager
    def body(self) -> Iterator[list[NodeProto]]:
        """Nodes written inside go to the list that is given: the body of a Scan. They see every value outside."""
        outer, self.nodes, self._bodies = self.nodes, [], self._bodies + 1
        try:
            with self.sizes.apart():
                yield self.nodes
        finally:
            self.nodes, self._bodies = outer, self._bodies - 1

    # names, types, places

    def emit_op(self, op: Op, rules: Rules[Any, Any]) -> None:
        """The op's nodes are its own from here on, under its place."""
        self._op, self._start = op, len(self.nodes)
        super().emit_op(op, rules)

    def emit_inside(self, op: Op, of: Op) -> None:
        """Writes an op of a loop's body; what is told of its nodes is told of op `of` of the function."""
        outer = self._op, self._start
        self.emit_op(op, self.rules)
        self.made.update([(name, of) for name, maker in self.made.items() if maker is op])
        self._op, self._start = outer

    def bind(self, op: Op, made: Any) -> None:
        """Notes names of results, the spec's own where the op's nodes made them."""
        super().bind(op, made)
        for value in op.results:
            self.values[value] = self._named(value, self.values[value], self.nodes[self._start :])

    def _named(self, value: Value, name: str, nodes: Sequence[NodeProto]) -> str:
        """Renames what the op's own nodes made to what the function or the spec calls it."""
        maker = next((node for node in nodes if name in node.output), None)
        if maker is None or self._op is None or isinstance(self._op, Leaf):
            return name
        wanted = self._wanted.get(value)
        if wanted is None and not value.name:
            new = name
        else:
            new = wanted or self.names.fresh(f"{self._op.origin.path}.{value.name}".lstrip("."))
        for node in nodes:
            for names in (node.input, node.output):
                for i, each in enumerate(names):
                    if each == name:
                        names[i] = new
        if new != wanted and not self._bodies:
            self.types.append(_typed(new, value.type))
        return new

    def _node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]
    ) -> NodeProto:
        name = self._node_names.fresh(_path(self._op, self._op.name if self._op else kind))
        location = self._op.origin.location if self._op else None
        node = helper.make_node(kind, inputs, outputs, name, str(location) if location else None, **attributes)
        if self._op is not None:
            self.made[name] = self._op
        return node


def _path(op: Op | None, kind: str) -> str:
    return f"{op.origin.path}.{kind}" if op is not None and op.origin.path else kind


def _typed(name: str, type_: TensorType) -> Any:
    return declared(name, ELEMENTS[type_.dtype], type_.extents)


def declared(name: str, element: str, extents: Sequence[Extent]) -> Any:
    """The declaration of a value; an extent that differs from call to call goes by its text, 'T/4'."""
    shape = [extent.value if extent.is_static else str(extent) for extent in extents]
    return helper.make_tensor_value_info(name, KINDS[element], shape)
