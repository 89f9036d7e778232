"""Syntax nodes to a program: names resolved, types inferred and compared with what the text says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mctc.ir.attribute_value import Array, Attributes, AttributeValue
from mctc.ir.build import make
from mctc.ir.declared import registry
from mctc.ir.dims import ExtentError
from mctc.ir.domain import Domain
from mctc.ir.literals import ENTRIES, STORAGE, LiteralError, array_of_bytes, array_of_entries
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.program import (
    WIDE,
    Derived,
    Dim,
    Function,
    Initializer,
    Op,
    PackedState,
    Parameter,
    Program,
    QuantizeRule,
    Recipe,
    Section,
    Source,
    State,
    Value,
    VocabularyMap,
)
from mctc.ir.syntax import (
    Application,
    ArrayText,
    Body,
    DimItem,
    DomainLine,
    Encoded,
    Entries,
    Fixed,
    FunctionItem,
    InstanceItem,
    IrSyntaxError,
    Item,
    Leaf,
    Local,
    NextLine,
    OpLine,
    PackedLine,
    ParameterItem,
    ParameterText,
    ProgramText,
    RecipeText,
    ReturnLine,
    RulesItem,
    SectionItem,
    Setting,
    SourceItem,
    StateLine,
    Statement,
    VocabularyItem,
)
from mctc.ir.types import DType, Role, TensorType, plain

DTYPE_OF_KIND = {"f": DType.F32, "i": DType.I32, "u": DType.I32, "b": DType.BOOL}
LOOSE = Initializer("normal")  # of a parameter that a text without declarations names


def read(text: ProgramText) -> Program:
    """The program. Raises IrSyntaxError where a name is unknown, an op does not apply or a stated type is wrong."""
    program = Program(text.name or "program")
    functions = []
    for item in text.items:
        if isinstance(item, FunctionItem):
            functions.append(item)
        else:
            _declare(program, item)
    for item in functions:
        if item.name in program.functions:
            raise IrSyntaxError(f"there are two functions @{item.name}", item.line)
        program.functions[item.name] = _FunctionReader(program, loose=text.name is None).read(item)
    if text.name is None:
        _declare_dims(program)
    return program


def _declare(program: Program, item: Item) -> None:
    if isinstance(item, DimItem):
        if item.role not in Role._value2member_map_:
            raise IrSyntaxError(
                f"there is no role {item.role}; there are {', '.join(r.value for r in Role)}", item.line
            )
        program.dims[item.name] = Dim(Role(item.role), item.rate)
    elif isinstance(item, SourceItem):
        program.sources[item.name] = (item.type, item.start)
    elif isinstance(item, ParameterItem):
        program.parameters[item.name] = _parameter(program, item)
    elif isinstance(item, SectionItem):
        setattr(program, item.word, Section(item.settings))
    elif isinstance(item, RulesItem):
        program.quantize += tuple(QuantizeRule(*rule) for rule in item.rules)
    elif isinstance(item, VocabularyItem):
        program.vocabularies += (VocabularyMap(item.function, item.result, item.valid, item.padded),)
    elif isinstance(item, InstanceItem):
        program.instances[item.path] = item.block


def _declare_dims(program: Program) -> None:
    """Dimensions of a text that declares none: each symbol has the role of the first axis that it stands alone on."""
    for function in program.functions.values():
        for value in function.inputs:
            for axis in value.type.axes:
                for symbol in sorted(axis.extent.symbols):
                    program.dims.setdefault(symbol, Dim(axis.role))


def _parameter(program: Program, item: ParameterItem) -> Parameter:
    if item.recipe is None:
        if item.type is not None:
            program.sources.setdefault(item.name, (item.type, LOOSE))
        elif item.name not in program.sources:
            raise IrSyntaxError(f"@{item.name} has neither a type nor a source", item.line)
        recipe: Recipe = Source(item.name, item.type or program.sources[item.name][0])
    else:
        recipe = _recipe(program, item.recipe, item.line)
    wide = item.quantization == WIDE
    kept = None if wide else item.quantization
    return Parameter(item.name, item.type or recipe.type, recipe, kept, item.origin, wide)


def _recipe(program: Program, text: RecipeText, line: int) -> Recipe:
    if isinstance(text, Leaf):
        if text.type is None and text.name not in program.sources:
            raise IrSyntaxError(f"there is no source @{text.name}", text.line)
        return Source(text.name, text.type or program.sources[text.name][0])
    if isinstance(text, Fixed):
        constant, type_ = constant_attributes(text.array, text.type, line)
        return Derived("constant", (), tuple(sorted(constant.items())), type_)
    given = [argument for argument in text.arguments if not isinstance(argument, Setting)]
    operands = tuple(None if a is None else _recipe(program, a, line) for a in given)
    attributes = {a.name: a.value for a in text.arguments if isinstance(a, Setting)}
    values = [None if r is None else Value(r.type) for r in operands]
    op = _apply(text.op, values, attributes, Origin(), text.line)
    if text.result >= len(op.results):
        raise IrSyntaxError(f"{text.op} has {len(op.results)} results, not a result {text.result}", text.line)
    inferred = op.results[text.result].type
    operands += (None,) * (len(op.operands) - len(operands))  # optional ones that the text leaves off
    return Derived(text.op, operands, tuple(sorted(op.attributes.items())), text.type or inferred, text.result)


def _apply(name: str, operands: Sequence[Value | None], attributes: Attributes, origin: Origin, line: int) -> Op:
    definition = registry().get(name)
    if definition is None:
        raise IrSyntaxError(f"there is no op named {name}", line)
    try:
        return make(definition, operands, attributes, origin)
    except InferenceError as error:
        raise IrSyntaxError(f"{name}: {error}", line, hint=error.hint) from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise IrSyntaxError(f"{name} cannot take this: {error}", line) from error


def constant_attributes(text: ArrayText, type_: TensorType | None, line: int) -> tuple[Attributes, TensorType]:
    """Attributes and type of a constant; without a stated type its axes are plain."""
    try:
        array = _array(text, type_)
        if type_ is not None and type_.shape != array.shape:
            raise LiteralError(f"the constant has shape {list(array.shape)}, the text says {type_}")
    except (LiteralError, ExtentError) as error:
        raise IrSyntaxError(str(error), line) from error
    if type_ is None:
        type_ = plain(DTYPE_OF_KIND[array.dtype.kind], *array.shape)
    roles = tuple(role.value for role in type_.roles)
    return {"value": array, "dtype": type_.dtype.value, "roles": roles}, type_


def _array(text: ArrayText, type_: TensorType | None) -> Array:
    if type_ is None:
        if isinstance(text, Encoded) or text.splat:
            word = "splat" if isinstance(text, Entries) else "packed" if text.packed else "bytes"
            raise LiteralError(f"a constant written as {word} needs a type")
        return array_of_entries(text.value, text.storage or _natural(text.value))
    storage = text.storage or STORAGE[type_.dtype]
    if isinstance(text, Entries) and not text.splat:
        return array_of_entries(text.value, storage)
    if min(type_.shape, default=0) < 0 or math.prod(type_.shape) > ENTRIES:
        raise LiteralError(f"{type_} is no type of a constant of at most {ENTRIES:,} entries")
    if isinstance(text, Entries):
        entry = array_of_entries(text.value, storage)
        if entry.ndim:
            raise LiteralError("a splat has one entry")
        return np.full(type_.shape, entry)
    return array_of_bytes("packed" if text.packed else "bytes", text.text, storage, type_.shape)


def _natural(value: AttributeValue) -> str:
    """The storage of entries that come without a type: float32, int32 or bool."""
    while isinstance(value, (tuple, list)) and value:
        value = value[0]
    return "bool" if isinstance(value, bool) else "int32" if isinstance(value, int) else "float32"


def _name(body: Body) -> str:
    """The name of the op."""
    if isinstance(body, Application):
        return body.op
    return ParameterOp.name if isinstance(body, ParameterText) else Constant.name


class _FunctionReader:
    """Reads one function; `loose` declares the parameters that it names."""

    def __init__(self, program: Program, loose: bool) -> None:
        self.program, self.loose = program, loose
        self.values: dict[str, Value] = {}
        self.ops: list[Op] = []
        self.states: list[StateLine] = []
        self.updates: dict[str, Value] = {}
        self.results: list[tuple[str, Value]] = []
        self.packing: list[PackedState] = []
        self.domains: dict[str, Domain] = {}

    def read(self, item: FunctionItem) -> Function:
        inputs = [self._define(local, Value(type_, local.name)) for local, type_ in item.inputs]
        for statement in item.statements:
            self._statement(statement)
        states = [self._state(state) for state in self.states]
        packing = tuple(self.packing)
        return Function(item.name, inputs, self.ops, self.results, states, item.origin, packing, self.domains)

    def _define(self, local: Local, value: Value) -> Value:
        if local.name in self.values:
            raise IrSyntaxError(f"%{local.name} is defined twice", local.line, local.column)
        self.values[local.name] = value
        return value

    def _use(self, local: Local) -> Value:
        if local.name not in self.values:
            raise IrSyntaxError(f"%{local.name} is not defined before this use", local.line, local.column)
        return self.values[local.name]

    def _state(self, state: StateLine) -> State:
        name = state.value.name
        if name not in self.updates:
            raise IrSyntaxError(f"state %{name} has no `next`", state.value.line, state.value.column)
        return State(state.name or name, self.values[name], self.updates[name])

    def _statement(self, statement: Statement) -> None:
        if isinstance(statement, DomainLine):
            type_ = self._use(statement.value).type
            whole = type_.dtype is DType.I32 or type_.bound is not None
            self.domains[statement.value.name] = replace(statement.domain, whole=whole)
        elif isinstance(statement, StateLine):
            self._define(statement.value, Value(statement.type, statement.value.name))
            self.states.append(statement)
        elif isinstance(statement, NextLine):
            self._use(statement.state)
            self.updates[statement.state.name] = self._use(statement.update)
        elif isinstance(statement, PackedLine):
            self.packing.append(statement.entry)
        elif isinstance(statement, ReturnLine):
            self.results += [(label, self._use(local)) for label, local in statement.results]
        else:
            self._op(statement)

    def _op(self, line: OpLine) -> None:
        place = line.results[0]
        operands, attributes = self._given(line.body, line.types[0] if line.types else None, place)
        op = _apply(_name(line.body), operands, attributes, line.origin, place.line)
        if len(line.results) != len(op.results):
            raise IrSyntaxError(f"{op.name} has {len(op.results)} results, not {len(line.results)}", place.line)
        inferred = tuple(result.type for result in op.results)
        if line.types is not None and line.types != inferred:
            told, right = (", ".join(map(str, types)) for types in (line.types, inferred))
            raise IrSyntaxError(f"{op.name} gives {right}, the text says {told}", place.line, place.column)
        self.ops.append(op)
        for local, value in zip(line.results, op.results):
            self._define(local, value)

    def _given(self, body: Body, stated: TensorType | None, place: Local) -> tuple[Sequence[Value | None], Attributes]:
        """Operands and attributes of an op."""
        if isinstance(body, ParameterText):
            name = body.name
            if self.loose and stated is not None and name not in self.program.parameters:
                self.program.sources.setdefault(name, (stated, LOOSE))
                self.program.parameters[name] = Parameter(name, stated, Source(name, stated))
            return (), {"name": name, "type": stated or self._parameter_type(name, place)}
        if isinstance(body, Application):
            operands = [None if a is None else self._use(a) for a in body.arguments if not isinstance(a, Setting)]
            return operands, {a.name: a.value for a in body.arguments if isinstance(a, Setting)}
        return (), constant_attributes(body, stated, place.line)[0]

    def _parameter_type(self, name: str, place: Local) -> TensorType:
        if name not in self.program.parameters:
            raise IrSyntaxError(f"parameter @{name} is not declared and has no type", place.line, place.column)
        return self.program.parameters[name].type
