"""Programs as text. `locations` adds where each op comes from and what passes did to it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import TypeVar

from mctc.ir.declared import registry
from mctc.ir.literals import (
    array_text,
    call_text,
    dotted_text,
    name_text,
    quoted,
    type_text,
    value_text,
    word_text,
)
from mctc.ir.location import Origin
from mctc.ir.op import REQUIRED
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.program import (
    WIDE,
    Dim,
    Function,
    Op,
    Parameter,
    Program,
    Quantization,
    Recipe,
    Section,
    Source,
    Value,
)
from mctc.ir.types import TensorType

T = TypeVar("T")

PLAIN = (bool, int, str)


def print_program(program: Program, *, locations: bool = False) -> str:
    """The whole program. With `locations` the text holds all of it; without, all but origins."""
    lines = [name_text("program @", program.name) + " {"]
    lines += (f"  {line}" for line in _head(program, locations))
    for function in program.functions.values():
        lines += (f"  {line}" for line in _function(function, locations))
    return "\n".join([*lines, "}", ""])


def print_function(function: Function, *, locations: bool = False) -> str:
    """One function; it parses back as a program of its own."""
    return "\n".join([*_function(function, locations), ""])


def _head(program: Program, locations: bool) -> Iterator[str]:
    for name, dim in program.dims.items():
        yield f"dim {name}: {_dim(dim)}"
    for name, (type_, start) in program.sources.items():
        yield f"source {name_text('@', name)}: {type_text(type_)} = {call_text(start.rule, dict(start.arguments))}"
    for parameter in program.parameters.values():
        yield _parameter(parameter, program, locations)
    for word in ("train", "stream", "utterance", "audio", "tokens", "passes", "prune"):
        yield from _section(word, getattr(program, word))
    if program.quantize:
        yield "quantize {"
        for rule in program.quantize:
            yield f"  {quoted(rule.pattern)}: {_quantization(rule.quantization)}{_origin(rule.origin, locations)}"
        yield "}"
    for v in program.vocabularies:
        yield f"vocabulary {name_text('@', v.function)} {dotted_text(v.result)}: {v.valid} -> {v.padded}"
    if locations:
        for path, block in program.instances.items():
            yield f"instance {name_text('@', path)}: {dotted_text(block)}"


def _dim(dim: Dim) -> str:
    return dim.role.value if dim.rate is None else f"{dim.role.value} @ {Fraction(dim.rate)}"


def _section(word: str, section: Section) -> Iterator[str]:
    if section.settings:
        yield f"{word} {{"
        yield from (f"  {word_text(key)} = {value_text(value)}" for key, value in section.settings.items())
        yield "}"


def _quantization(quantization: Quantization | None) -> str:
    if quantization is None:
        return "none"
    group = {} if quantization.group is None else {"group": quantization.group}
    axis = {"axis": quantization.axis} if quantization.axis else {}
    told = {name: True for name in ("expanded", "wide") if getattr(quantization, name)}
    activations = {} if quantization.activations is None else {"activations": quantization.activations}
    return call_text(quantization.scheme, {"bits": quantization.bits, **group, **axis, **told, **activations})


def _parameter(parameter: Parameter, program: Program, locations: bool) -> str:
    text = f"param {name_text('@', parameter.name)}"
    recipe, stated = parameter.recipe, program.sources.get(parameter.name, (None, None))[0]
    if recipe != Source(parameter.name, parameter.type) or stated != parameter.type:
        stated_type = "" if parameter.type == recipe.type else f": {type_text(parameter.type)}"
        text += f"{stated_type} = {_recipe(recipe, program)}"
    if parameter.quantization is not None:
        text += f" as {_quantization(parameter.quantization)}"
    if parameter.wide:
        text += f" as {_quantization(WIDE)}"
    return text + _origin(parameter.origin, locations)


def _recipe(recipe: Recipe | None, program: Program) -> str:
    if recipe is None:
        return "none"
    if isinstance(recipe, Source):
        known = program.sources.get(recipe.name, (None, None))[0] == recipe.type
        return name_text("@", recipe.name) + ("" if known else f": {type_text(recipe.type)}")
    if recipe.op == "constant":
        value = Constant((), dict(recipe.attributes), Origin()).value
        return f"constant {array_text(value, recipe.type.dtype)}: {type_text(recipe.type)}"
    operands = [_recipe(operand, program) for operand in _trimmed(recipe.operands)]
    definition = registry().get(recipe.op)
    defaults = definition.defaults if definition else {}
    text = f"{recipe.op}({', '.join([*operands, *_attributes(dict(recipe.attributes), defaults)])})"
    return text + (f" result {recipe.result}" if recipe.result else "") + f": {type_text(recipe.type)}"


def _function(function: Function, locations: bool) -> Iterator[str]:
    names = _Names(function)
    inputs = ", ".join(f"{names[value]}: {type_text(value.type)}" for value in function.inputs)
    yield f"function {name_text('@', function.name)}({inputs}){_origin(function.origin, locations)} {{"
    for value in function.inputs:
        if value.name in function.domains:
            yield f"  domain {names[value]} {function.domains[value.name]}"
    for state in function.states:
        label = "" if names[state.value] == f"%{state.name}" else f" as {quoted(state.name)}"
        yield f"  state {names[state.value]}: {type_text(state.value.type)}{label}"
    for op in function.ops:
        yield f"  {_op(op, names)}{_origin(op.origin, locations)}"
    for state in function.states:
        yield f"  next {names[state.value]} = {names[state.update]}"
    for p in function.packing:
        pitch = "" if p.pitch is None else f", {p.pitch}"
        where = f"{dotted_text(p.tensor)}[{p.row}, {p.column}{pitch}]"
        yield f"  packed {dotted_text(p.name)}: {list(p.shape)} in {where}"
    if function.results:
        yield "  return " + ", ".join(f"{dotted_text(name)} = {names[value]}" for name, value in function.results)
    yield "}"


class _Names:
    """The text of each value: inputs and states by their names, results of ops by number."""

    def __init__(self, function: Function) -> None:
        self._names: dict[Value, str] = {}
        taken: set[str] = set()
        for value in function.inputs:
            self._names[value] = self._free(value.name, "input", taken)
        for state in function.states:
            self._names[state.value] = self._free(state.value.name or state.name, "state", taken)
        numbers = (str(number) for number in itertools.count() if str(number) not in taken)
        for op in function.ops:
            self._names.update((result, f"%{next(numbers)}") for result in op.results)

    @staticmethod
    def _free(name: str, kind: str, taken: set[str]) -> str:
        """A text that no other value has."""
        if not name or name in taken:
            name = next(f"{name or kind}.{i}" for i in range(len(taken) + 1) if f"{name or kind}.{i}" not in taken)
        taken.add(name)
        return name_text("%", name)

    def __getitem__(self, value: Value | None) -> str:
        if value is None:
            return "none"
        return self._names.get(value, "%foreign")


def _op(op: Op, names: _Names) -> str:
    results = ", ".join(names[result] for result in op.results)
    return f"{results} = {_body(op, names)}: {_types(result.type for result in op.results)}"


def _body(op: Op, names: _Names) -> str:
    if isinstance(op, ParameterOp):
        return f"parameter {name_text('@', op.parameter)}"
    if isinstance(op, Constant):
        return f"constant {array_text(op.value, op.result.type.dtype)}"
    operands = [names[value] for value in _trimmed(op.operands)]
    return f"{op.name}({', '.join([*operands, *_attributes(op.attributes, op.defaults)])})"


def _attributes(given: Mapping[str, object], defaults: Mapping[str, object]) -> list[str]:
    """Attributes that differ from their defaults, in the order of the declaration."""
    ordered = [*(name for name in defaults if name in given), *(name for name in given if name not in defaults)]
    return [
        f"{word_text(name)} = {value_text(given[name])}"
        for name in ordered
        if not _is_default(given[name], defaults.get(name, REQUIRED))
    ]


def _is_default(value: object, default: object) -> bool:
    """By text, so that 1 and 1.0 stay apart."""
    if value is default or default is REQUIRED:
        return value is default
    if type(value) in PLAIN and type(value) is type(default):  # whose texts are alike where they are
        return value == default
    return value_text(value) == value_text(default)


def _trimmed(operands: Iterable[T]) -> list[T]:
    kept = list(operands)
    while kept and kept[-1] is None:
        kept.pop()
    return kept


def _types(types: Iterable[TensorType]) -> str:
    texts = [type_text(type_) for type_ in types]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _origin(origin: Origin, locations: bool) -> str:
    if not locations:
        return ""
    text, place = "", origin.location
    if place is not None:
        end = f"-{place.end_line}:{place.end_column}" if place.end_line or place.end_column else ""
        text += f" at {quoted(place.file)}:{place.line}:{place.column}{end}"
    if origin.path:
        text += f" in {dotted_text(origin.path)}"
    return text + "".join([_event(event.by, event.change) for event in origin.history])


@lru_cache(maxsize=1 << 12)  # a pass says the same of many ops
def _event(by: str, change: str) -> str:
    return f" by {dotted_text(by)} {quoted(change)}"
