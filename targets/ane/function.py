"""One IR function as a function of an ML program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mctc.driver.names import Names, identifier, op_name
from mctc.emit.emitter import Emitter
from mctc.emit.ports import element_types
from mctc.emit.rules import Rules
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Leaf
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import TensorType
from mctc.targets.ane.constants import Blob, Compressed, Plain, Store
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.messages import as_small, set_array, set_blob, set_string, set_tensor_type

OPSET = "CoreML8"  # iOS 18, macOS 15: states, int4 and grouped palettes
MIL_DTYPE = element_types("fp16")


class Name(str):
    """The name of a MIL value (a plain str as an operand is a string constant)."""

    __slots__ = ()


Operand = Value | Name | str | bool | int | float | Array | Sequence[Any]


class FunctionEmitter(Emitter[Name]):
    """Writes one function. Rules call `emit` with the IR values they define; names, types and constants follow.

    `made` tells for every MIL operation name which IR op it came from.
    """

    target, language, raises = "ane", "Core ML", EmitError

    def __init__(self, program: Program, function: Function, message: Any, store: Store, states_as_io: bool) -> None:
        super().__init__(program, function, states_as_io=states_as_io)
        self.store = store
        self.names = Names()
        self.made: dict[str, Op] = {}
        self.count = 0  # operations that are no constants
        self.message = message
        self.block = message.block_specializations[OPSET]
        message.opset = OPSET
        self._constants: dict[object, Name] = {}
        self._outputs: dict[Value, Name] = {}
        self._late: list[tuple[Name, Value]] = []  # outputs that repeat another value: copied at the end
        self._kept: set[Value] = set() if states_as_io else _written_from(function)

    def run(self, rules: Rules[FunctionEmitter, None]) -> None:
        """Writes the whole function. Raises EmitError for an op without a Core ML form."""
        self._open()
        self.emit_ops(rules)
        self._close()

    def sound(self, op: Op, made: Any) -> bool:
        """Whether a rule wrote what defines the results."""
        return all(value in self.values for value in op.results)

    def bind(self, op: Op, made: Any) -> None:
        """Rules return nothing: `emit` notes the names."""

    # what rules use

    def emit(self, op: Op, kind: str, inputs: Mapping[str, Operand], results: Sequence[Value] | None = None) -> None:
        """Writes MIL operation `kind` that defines `results` (those of `op` when left out)."""
        results = op.results if results is None else results
        base = op_name(op)
        names = [self._name_of(value, base, index, len(results)) for index, value in enumerate(results)]
        self._operation(op, kind, inputs, names, list(map(_type, results)))
        self.values.update(zip(results, names))

    def step(self, op: Op, kind: str, inputs: Mapping[str, Operand], shape: Sequence[int], dtype: str = "fp16") -> Name:
        """Writes an operation in the middle of a rule, whose result is no IR value. Its name."""
        name = Name(self.names.fresh(f"{op_name(op)}_{kind}"))
        self._operation(op, kind, inputs, [name], [(dtype, tuple(shape))])
        return name

    def alias(self, value: Value, name: Name) -> None:
        """Lets `value` be what `name` already is, without an operation."""
        self.values[value] = name

    def is_output(self, value: Value) -> bool:
        """Whether a value leaves the function under a name of its own, which an alias does not give it."""
        return value in self._outputs

    def constant(self, value: Operand, wanted: str) -> Name:
        """A const operation for a compile-time value; equal ones are written once. Floats become fp16."""
        small = as_small(value) if not isinstance(value, np.ndarray) else value
        if isinstance(small, str):
            key: object = small
            stored: Plain | str = small
        else:
            stored = self.store.constant(small, f"a constant of {wanted}")
            held = stored.value
            key = held if isinstance(held, Blob) else (held.dtype.name, held.shape, held.tobytes())
        if key not in self._constants:
            self._constants[key] = self._const(stored, wanted)
        return self._constants[key]

    def parameter(self, value: Value, name: str) -> None:
        """Writes parameter `name` as a const or constexpr operation, once a function, and lets `value` be it."""
        key = ("parameter", name)
        if key not in self._constants:
            stored = self.store.parameter(self.program.parameters[name])
            if isinstance(stored, Compressed):
                self._constants[key] = self._constexpr(stored, identifier(name))
            else:
                self._constants[key] = self._const(stored, identifier(name))
        self.values[value] = self._constants[key]

    # the frame of the function

    def _open(self) -> None:
        for name, value in self.ports.taken:
            self.values[value] = self._input(name, value.type)
        for name, state in self.ports.held:
            item = self.message.inputs.add(name=self.names.reserve(name))
            set_tensor_type(item.type.stateType.wrappedType, *_type(state.value))
        for name, value in self.ports.given:
            output = Name(self.names.reserve(name))
            self.block.outputs.append(output)
            constant = isinstance(value.owner, Leaf)
            if value in self.values or value in self._outputs or value in self._kept or constant:
                self._late.append((output, value))
            else:
                self._outputs[value] = output
        for name, state in self.ports.held:
            read = Name(self.names.fresh(f"read_{name}"))
            self._operation(None, "read_state", {"input": Name(name)}, [read], [_type(state.value)])
            self.values[state.value] = read

    def _close(self) -> None:
        for name, value in self._late:
            feeds = value in self._kept and value.type.dtype.is_float
            kind, factor = ("mul", {"y": 1.0}) if feeds else ("identity", {})
            self._operation(value.owner, kind, {"x": self.values[value], **factor}, [name], [_type(value)])
        for held, state in self.ports.held:
            written = {"input": Name(held), "data": self.values[state.update]}
            self._operation(state.update.owner, "write_state", written, [], [], self.names.fresh(f"write_{held}"))

    def _input(self, name: str, type_: TensorType) -> Name:
        item = self.message.inputs.add(name=self.names.reserve(name))
        set_tensor_type(item.type, MIL_DTYPE[type_.dtype], type_.shape)
        return Name(name)

    # writing operations

    def _name_of(self, value: Value, base: str, index: int, count: int) -> Name:
        if value in self._outputs:
            return self._outputs[value]
        return Name(self.names.fresh(base if count == 1 else f"{base}_{index}"))

    def _operation(
        self,
        op: Op | None,
        kind: str,
        inputs: Mapping[str, Operand],
        names: Sequence[Name],
        types: Sequence[tuple[str, tuple[int, ...]]],
        called: str | None = None,
    ) -> None:
        called = called or (names[0] if len(names) == 1 else self.names.fresh(op_name(op) if op else kind))
        resolved = [(key, self._arguments(operand, key)) for key, operand in inputs.items()]
        message = self.block.operations.add(type=kind)
        self.count += 1
        for key, arguments in resolved:
            into = message.inputs[key].arguments
            for argument in arguments:
                into.add(name=argument)
        for name, (dtype, shape) in zip(names, types):
            set_tensor_type(message.outputs.add(name=name).type, dtype, shape)
        set_string(message.attributes["name"], called)
        if op is not None:
            self.made[called] = op

    def _arguments(self, operand: Operand, wanted: str) -> list[Name]:
        if isinstance(operand, Value):
            return [self.values[operand]]
        if isinstance(operand, Name):
            return [operand]
        if isinstance(operand, (list, tuple)) and operand and isinstance(operand[0], (Value, Name)):
            return [self._arguments(item, wanted)[0] for item in operand]
        return [self.constant(operand, wanted)]

    def _const(self, stored: Plain | str, wanted: str) -> Name:
        name = Name(self.names.fresh(wanted))
        message = self.block.operations.add(type="const")
        value, result = message.attributes["val"], message.outputs.add(name=name)
        if isinstance(stored, str):
            set_string(value, stored)
        elif isinstance(stored.value, Blob):
            set_blob(value, stored.value.dtype, stored.value.shape, stored.value.offset)
        else:
            set_array(value, stored.value)
        result.type.CopyFrom(value.type)
        set_string(message.attributes["name"], name)
        return name

    def _constexpr(self, stored: Compressed, wanted: str) -> Name:
        name = Name(self.names.fresh(wanted))
        message = self.block.operations.add(type=stored.kind)
        for key, blob in stored.operands:
            set_blob(message.inputs[key].arguments.add().value, blob.dtype, blob.shape, blob.offset)
        set_tensor_type(message.outputs.add(name=name).type, "fp16", stored.shape)
        set_string(message.attributes["name"], name)
        return name


def _written_from(function: Function) -> set[Value]:
    """What new states are computed from, themselves included.

    A program that returns such a value is reported to crash where it is loaded (ANE-ST-008), so a product with 1 goes
    out in its place.
    """
    found: set[Value] = set()
    waiting = [state.update for state in function.states]
    while waiting:
        value = waiting.pop()
        if value not in found:
            found.add(value)
            waiting += [each for each in (value.owner.operands if value.owner else ()) if each is not None]
    return found


def _type(value: Value) -> tuple[str, tuple[int, ...]]:
    return MIL_DTYPE[value.type.dtype], value.type.shape
