"""One IR function as a function of an ML program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mctc.driver.names import Names, identifier, op_name
from mctc.emit.emitter import Emitter
from mctc.emit.ports import element_types
from mctc.emit.rules import Rules
from mctc.ir.islands import computes_wide
from mctc.ir.lookups import wide_rows
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Leaf
from mctc.ir.program import Function, Op, Program, Value
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
        self._told: dict[tuple[str, bool], Name] = {}  # constants by how Python tells them: few of them are arrays
        self._uses = function.uses()
        self._wide_rows = wide_rows(program, function)
        self._outputs: dict[Value, Name] = {}
        self._types: dict[Name, tuple[int, ...]] = {}  # shapes of what is in floating point
        self._wide: set[Name] = set()  # what is in fp32
        self._narrow: dict[tuple[Name, str], Name] = {}  # casts, by what they are of and to
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
        wide = computes_wide(self.program, op)
        self._operation(op, kind, inputs, names, [_widened(_type(value), wide) for value in results])
        self.values.update(zip(results, names))

    def step(self, op: Op, kind: str, inputs: Mapping[str, Operand], shape: Sequence[int], dtype: str = "fp16") -> Name:
        """Writes an operation in the middle of a rule, whose result is no IR value. Its name."""
        name = Name(self.names.fresh(f"{op_name(op)}_{kind}"))
        kept = _widened((dtype, tuple(shape)), computes_wide(self.program, op))
        self._operation(op, kind, inputs, [name], [kept])
        return name

    def element(self, op: Op) -> str:
        """The MIL type of the entries of an op's result, in the part that it lies in."""
        return _widened(_type(op.result), computes_wide(self.program, op))[0]

    def taken_as(self, value: Value) -> tuple[str, tuple[int, ...]]:
        """The MIL type of an input: rows of a table that is stored in fp32 are in fp32."""
        return _widened(_type(value), value in self._wide_rows)

    def alias(self, value: Value, name: Name) -> None:
        """Lets `value` be what `name` already is, without an operation."""
        self.values[value] = name

    def is_output(self, value: Value) -> bool:
        """Whether a value leaves the function under a name of its own, which an alias does not give it."""
        return value in self._outputs

    def is_read_wide(self, value: Value) -> bool:
        """Whether all that reads a value computes in fp32."""
        users = self._uses.get(value, ())
        return bool(users) and all(computes_wide(self.program, user) for user in users)

    def constant(self, value: Operand, wanted: str, wide: bool = False) -> Name:
        """A const operation for a compile-time value; equal ones are written once. Floats become fp16, or fp32."""
        if isinstance(value, np.ndarray):
            return self._constant(value, wanted, wide)
        told = repr(value), wide
        if told not in self._told:
            self._told[told] = self._constant(as_small(value), wanted, wide)
        return self._told[told]

    def _constant(self, small: Array | str, wanted: str, wide: bool) -> Name:
        if isinstance(small, str):
            key: object = small
            stored: Plain | str = small
        else:
            stored = self.store.constant(small, f"a constant of {wanted}", wide)
            held = stored.value
            key = held if isinstance(held, Blob) else (held.dtype.name, held.shape, held.tobytes())
        if key not in self._constants:
            self._constants[key] = self._const(stored, wanted)
            if wide and not isinstance(stored, str) and stored.dtype in ("fp32", "float32"):
                self._wide.add(self._constants[key])
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
            if self.program.parameters[name].wide:
                self._wide.add(self._constants[key])
        self.values[value] = self._constants[key]

    # the frame of the function

    def _open(self) -> None:
        for name, value in self.ports.taken:
            self.values[value] = self._input(name, *self.taken_as(value))
        for name, state in self.ports.held:
            item = self.message.inputs.add(name=self.names.reserve(name))
            set_tensor_type(item.type.stateType.wrappedType, *_type(state.value))
        for name, value in self.ports.given:
            output = Name(self.names.reserve(name))
            self.block.outputs.append(output)
            constant = isinstance(value.owner, Leaf)
            constant |= value.owner is not None and computes_wide(self.program, value.owner)  # a port is in fp16
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
            self._operation(None, kind, {"x": self.values[value], **factor}, [name], [_type(value)], of=value.owner)
        for held, state in self.ports.held:
            written = {"input": Name(held), "data": self.values[state.update]}
            called = self.names.fresh(f"write_{held}")
            self._operation(None, "write_state", written, [], [], called, of=state.update.owner)

    def _input(self, name: str, dtype: str, shape: tuple[int, ...]) -> Name:
        item = self.message.inputs.add(name=self.names.reserve(name))
        set_tensor_type(item.type, dtype, shape)
        self._note(Name(name), dtype, shape)
        self._wide.update([Name(name)] if dtype == "fp32" else [])
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
        of: Op | None = None,
    ) -> None:
        """op: whose precision it computes in, fp16 without one. of: the op that it is told to belong to, if another."""
        wide = op is not None and kind != "cast" and computes_wide(self.program, op)
        op = op or of
        called = called or (names[0] if len(names) == 1 else self.names.fresh(op_name(op) if op else kind))
        resolved = [(key, self._arguments(operand, key, wide)) for key, operand in inputs.items()]
        if kind not in ("cast", "read_state"):
            resolved = [(key, [self._in(name, wide) for name in arguments]) for key, arguments in resolved]
        self._wide.update(name for name, (dtype, _) in zip(names, types) if dtype == "fp32")
        message = self.block.operations.add(type=kind)
        self.count += 1
        for key, arguments in resolved:
            into = message.inputs[key].arguments
            for argument in arguments:
                into.add(name=argument)
        for name, (dtype, shape) in zip(names, types):
            self._note(name, dtype, shape)
            set_tensor_type(message.outputs.add(name=name).type, dtype, shape)
        set_string(message.attributes["name"], called)
        if op is not None:
            self.made[called] = op

    def _in(self, name: Name, wide: bool) -> Name:
        """A value in the precision of what reads it: cast where a part in fp32 begins or ends, once."""
        if name not in self._types or (name in self._wide) is wide:
            return name
        to = "fp32" if wide else "fp16"
        if (name, to) not in self._narrow:
            made = Name(self.names.fresh(f"{name}_{to}"))
            self._narrow[name, to] = made
            self._operation(None, "cast", {"x": name, "dtype": to}, [made], [(to, self._types[name])])
        return self._narrow[name, to]

    def _arguments(self, operand: Operand, wanted: str, wide: bool = False) -> list[Name]:
        if isinstance(operand, Value):
            return [self.values[operand]]
        if isinstance(operand, Name):
            return [operand]
        if isinstance(operand, (list, tuple)) and operand and isinstance(operand[0], (Value, Name)):
            return [self._arguments(item, wanted)[0] for item in operand]
        return [self.constant(operand, wanted, wide)]

    def _note(self, name: Name, dtype: str, shape: tuple[int, ...]) -> None:
        """Keeps what a cast has to know of a value."""
        if dtype in ("fp16", "fp32"):
            self._types[name] = shape

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
        if not isinstance(stored, str):
            self._note(name, stored.dtype, stored.shape)
        return name

    def _constexpr(self, stored: Compressed, wanted: str) -> Name:
        name = Name(self.names.fresh(wanted))
        message = self.block.operations.add(type=stored.kind)
        for key, blob in stored.operands:
            set_blob(message.inputs[key].arguments.add().value, blob.dtype, blob.shape, blob.offset)
        set_tensor_type(message.outputs.add(name=name).type, "fp16", stored.shape)
        self._note(name, "fp16", stored.shape)
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


def _widened(type_: tuple[str, tuple[int, ...]], wide: bool) -> tuple[str, tuple[int, ...]]:
    return ("fp32", type_[1]) if wide and type_[0] == "fp16" else type_


def _type(value: Value) -> tuple[str, tuple[int, ...]]:
    return MIL_DTYPE[value.type.dtype], value.type.shape
