"""The verifier: what every program must hold to, before and after every pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from operator import is_
from weakref import WeakValueDictionary

from mctc.diagnostics.errors import MctcError
from mctc.ir.declared import registry
from mctc.ir.location import Origin
from mctc.ir.loops import loops, sees_one_frame
from mctc.ir.op import InferenceError
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.loop import Scan, ScanState
from mctc.ir.program import Derived, Function, Op, Parameter, Program, Recipe, Source, Value
from mctc.ir.types import DType, TensorType

_VERIFIED: WeakValueDictionary[int, Derived] = WeakValueDictionary()  # recipes never change: one inference is enough


class VerificationError(MctcError):
    """A program that breaks a rule of the IR; the message names function, op and place in the spec."""


def verify(program: Program, known: Program | None = None) -> None:
    """Raises VerificationError for the first rule that `program` breaks.

    Rules: values are defined once and before their use, in the function that uses them; result types are those that
    inference gives; parameters exist with the type stated and their recipes type-check down to declared sources;
    names are unique; what a scan's state makes leaves by the scan; a domain is an input's and of its kind of numbers; a
    state's update has the state's type; every symbol of an extent is a declared dimension.

    known: a program that breaks none; a function that `program` has from there, op for op, is not looked at again, and
    of an op from there only where it stands.
    """
    before = known.parameters if known is not None and known.sources == program.sources else {}
    for name, parameter in program.parameters.items():
        if name != parameter.name:
            raise VerificationError(f"parameter {parameter.name} is listed as {name}")
        if before.get(name) is not parameter:
            _parameter(program, parameter)
    for name, function in program.functions.items():
        if name != function.name:
            raise VerificationError(f"function {function.name} is listed as {name}")
        if known is None or not _taken_over(program, function, known):
            _function(program, function, known)
    for entry in program.vocabularies:
        found = program.functions.get(entry.function)
        if found is None or entry.result not in dict(found.results):
            raise VerificationError(f"there is no result {entry.result} of {entry.function} for a padded vocabulary")


def _taken_over(program: Program, function: Function, known: Program) -> bool:
    """Whether a function, and all that it reads of its program, is the one of a known program."""
    old = known.functions.get(function.name)
    if old is None or len(old.ops) != len(function.ops) or not all(map(is_, old.ops, function.ops)):
        return False
    ends = (function.inputs, function.results, function.states, function.domains)
    named = [op.parameter for op in function.ops if isinstance(op, ParameterOp)]
    same = all(program.parameters.get(name) is known.parameters.get(name) for name in named)
    return same and program.dims == known.dims and ends == (old.inputs, old.results, old.states, old.domains)


def _known_ops(program: Program, function: Function, known: Program | None) -> Collection[Op]:
    """Ops of the function in a known program. They are never changed; only the dimensions might be others."""
    if known is None or function.name not in known.functions or program.dims != known.dims:
        return ()
    return set(known.functions[function.name].ops)


def _function(program: Program, function: Function, known: Program | None) -> None:
    _unique(function, "inputs", (value.name for value in function.inputs))
    _unique(function, "results", (name for name, _ in function.results))
    _unique(function, "states", (state.name for state in function.states))
    defined: set[Value] = set()
    for value in (*function.inputs, *(state.value for state in function.states)):
        if value.owner is not None or value in defined:
            raise VerificationError(f"{function.name}: input {value.name} is the result of an op or listed twice")
        _dims(program, value.type, partial(_input_place, function, value))
        defined.add(value)
    _domains(function)
    declared, judged, seen = registry(), set[int](), _known_ops(program, function, known)
    for op in function.ops:
        _operands(function, op, defined)
        if op not in seen:
            _op(program, function, op, declared, judged)
        if isinstance(op, ParameterOp):
            _reference(program, function, op)
        if not defined.isdisjoint(op.results):
            raise VerificationError(f"{_place(function, op)}: the op stands twice in the function")
        defined.update(op.results)
    _loops(function)
    for name, value in function.results:
        if value not in defined:
            raise VerificationError(f"{function.name}: result {name} is not a value of the function")
    for state in function.states:
        if state.update not in defined:
            raise VerificationError(f"{function.name}: the update of state {state.name} is not a value of the function")
        if state.update.type != state.value.type:
            raise VerificationError(
                f"{function.name}: state {state.name} is {state.value.type}, but its update is {state.update.type}"
            )


def _loops(function: Function) -> None:
    """What is computed from the state of a scan leaves by the scan alone."""
    opened = {op for op in function.ops if isinstance(op, ScanState)}
    if not opened and not any(isinstance(op, Scan) for op in function.ops):
        return
    inside: dict[Value, Op] = {}
    for loop in loops(function.ops):
        opened.difference_update(loop.states)
        if len(loop.states) != loop.close.states:
            raise VerificationError(f"{_place(function, loop.close)}: its states are no results of scan_state")
        inside.update((value, loop.close) for op in (*loop.states, *loop.ops) for value in op.results)
        for op in loop.ops:
            if not sees_one_frame(op, loop.role):
                raise VerificationError(f"{_place(function, op)}: it needs other frames of what a scan's state makes")
    if opened:
        raise VerificationError(f"{_place(function, opened.pop())}: no scan takes this state")
    outputs = set(function.outputs)
    for value in inside:
        if value in outputs:
            raise VerificationError(f"{function.name}: {value} is of one frame of a scan, and leaves the function")


def _domains(function: Function) -> None:
    inputs = {value.name: value.type for value in function.inputs}
    for name, domain in function.domains.items():
        if name not in inputs:
            raise VerificationError(f"{function.name}: there is no input {name} for the domain {domain}")
        if domain.whole != (inputs[name].dtype is DType.I32 or inputs[name].bound is not None):
            numbers = "whole numbers" if domain.whole else "numbers that need not be whole"
            raise VerificationError(f"{function.name}: input {name} is {inputs[name]}, its domain is of {numbers}")


def _unique(function: Function, what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not name:
            raise VerificationError(f"{function.name}: one of the {what} has no name")
        if name in seen:
            raise VerificationError(f"{function.name}: two {what} are named {name!r}")
        seen.add(name)


def _operands(function: Function, op: Op, defined: set[Value]) -> None:
    for value in op.operands:
        if value is not None and value not in defined:
            operand = op.operands.index(value)
            raise VerificationError(f"{_place(function, op)}: operand {operand} is not defined before this op")


def _op(program: Program, function: Function, op: Op, declared: Mapping[str, type[Op]], judged: set[int]) -> None:
    """judged: types whose dimensions are declared, by their identity: a pass is verified op by op, and most ops of a
    program have few types between them."""
    if declared.get(op.name) is not type(op):
        raise VerificationError(f"{_place(function, op)}: there is no op of this name and declaration")
    _types(function, op)
    for result in op.results:
        if result.owner is not op:
            raise VerificationError(f"{_place(function, op)}: a result belongs to another op")
        if id(result.type) not in judged:
            _dims(program, result.type, partial(_place, function, op))
            judged.add(id(result.type))


def _types(function: Function, op: Op) -> None:
    """Types are inferred once for an op and the types around it: passes share the ops that they leave alone, and the
    builder has inferred those of the ops that it made."""
    around = op.around()
    if around == op.verified:
        return
    try:
        types = tuple(op.infer())
    except InferenceError as error:
        raise VerificationError(f"{_place(function, op)}: {error}", hint=error.hint) from error
    if types != tuple(result.type for result in op.results):
        told, right = (", ".join(map(str, part)) for part in ((r.type for r in op.results), types))
        raise VerificationError(f"{_place(function, op)}: the results are {told}, inference gives {right}")
    op.verified = around


def _reference(program: Program, function: Function, op: ParameterOp) -> None:
    parameter = program.parameters.get(op.parameter)
    if parameter is None:
        raise VerificationError(f"{_place(function, op)}: there is no parameter {op.parameter}")
    if parameter.type != op.declared:
        raise VerificationError(
            f"{_place(function, op)}: {parameter.name} is {parameter.type}, the op says {op.declared}"
        )


def _parameter(program: Program, parameter: Parameter) -> None:
    where = f"parameter {parameter.name}{_suffix(parameter.origin)}"
    if parameter.recipe.type != parameter.type:
        raise VerificationError(f"{where}: its type is {parameter.type}, its recipe gives {parameter.recipe.type}")
    if not parameter.type.is_static:
        raise VerificationError(f"{where}: {parameter.type} has a size that is not known before run time")
    _recipe(program, parameter.recipe, where)


def _recipe(program: Program, recipe: Recipe, where: str) -> None:
    if isinstance(recipe, Source):
        if recipe.name not in program.sources or program.sources[recipe.name][0] != recipe.type:
            raise VerificationError(f"{where}: there is no source {recipe.name}: {recipe.type}")
        return
    for operand in recipe.operands:
        if operand is not None:
            _recipe(program, operand, where)
    if _VERIFIED.get(id(recipe)) is recipe:
        return
    types = _inferred(recipe, where)
    if recipe.result >= len(types) or types[recipe.result] != recipe.type:
        given = ", ".join(map(str, types))
        raise VerificationError(
            f"{where}: result {recipe.result} of {recipe.op} is stated as {recipe.type}, not {given}"
        )
    _VERIFIED[id(recipe)] = recipe


def _inferred(recipe: Derived, where: str) -> tuple[TensorType, ...]:
    definition = registry().get(recipe.op)
    if definition is None:
        raise VerificationError(f"{where}: its recipe uses an op {recipe.op}, which does not exist")
    values = tuple(None if operand is None else Value(operand.type) for operand in recipe.operands)
    try:
        return tuple(definition(values, dict(recipe.attributes), Origin()).infer())
    except (InferenceError, KeyError) as error:
        raise VerificationError(f"{where}: {recipe.op} in its recipe: {error}") from error


def _dims(program: Program, type_: TensorType, where: Callable[[], str]) -> None:
    if type_.is_static:
        return
    for extent in type_.extents:
        for symbol in extent.symbols:
            if symbol not in program.dims:
                raise VerificationError(f"{where()}: {type_} names a dimension {symbol} that is not declared")


def _input_place(function: Function, value: Value) -> str:
    return f"{function.name}: input {value.name}"


def _place(function: Function, op: Op) -> str:
    return f"{function.name}: {op.name}{_suffix(op.origin)}"


def _suffix(origin: Origin) -> str:
    path = f" in {origin.path}" if origin.path else ""
    return path + (f" at {origin.location}" if origin.location else "")
