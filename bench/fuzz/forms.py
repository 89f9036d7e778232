"""What a program holds that no op's name tells: kinds of inputs, rates, starts, shared tables, numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from mctc.ir.masks import mask_operands, masks
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import DType, Role
from mctc.streaming.context import VALID

STARTS = ("h", "c")  # what recurrent ops call the operand that is a state


def forms(program: Program) -> set[str]:
    """The names of all forms that a program has."""
    return {name for name, has in FORMS.items() if has(program)}


def _inputs(program: Program) -> Iterator[tuple[Function, Value]]:
    return ((function, value) for function in program.functions.values() for value in function.inputs)


def _masks(program: Program) -> Iterator[Value]:
    for function, value in _inputs(program):
        if value.name != VALID and value.name in masks(function):
            yield value


def _masked(op: str) -> Callable[[Program], bool]:
    def has(program: Program) -> bool:
        found = (each for _, each in program.ops() if each.name == op)
        return any(True for each in found for _ in mask_operands(each))

    return has


def _declared(op: Op) -> set[str]:
    return {operand.name for operand in op.fields}


def _domain(holds: Callable[[str], bool]) -> Callable[[Program], bool]:
    return lambda program: any(
        holds(str(function.domains[value.name]))
        for function, value in _inputs(program)
        if value.name in function.domains
    )


def _coefficients(program: Program) -> Iterator[Fraction]:
    for _, value in _inputs(program):
        for axis in value.type.axes:
            yield from (axis.extent.coefficient(s) for s in axis.extent.symbols if axis.role is Role.TIME)


def _labels_beside_time(program: Program) -> bool:
    return any(
        {Role.TIME, Role.LABEL} <= set(value.type.roles) for f in program.functions.values() for _, value in f.results
    )


def _labels_of_a_fixed_number(program: Program) -> bool:
    axes = (axis for _, value in _inputs(program) for axis in value.type.axes)
    return any(axis.role is Role.LABEL and axis.extent.is_static for axis in axes)


def _started(program: Program, given: bool) -> bool:
    """Whether a recurrent op starts from an input (given), or from a parameter."""
    for function, op in program.ops():
        starts = (op.operand(name) for name in STARTS if name in _declared(op))
        if any(value is not None and (value in function.inputs) is given for value in starts):
            return True
    return False


def _without_time(program: Program) -> bool:
    return any(value.type.sequence is None for f in program.functions.values() for _, value in f.results)


def _shared_tables(program: Program) -> Iterator[str]:
    """Parameters that are a table of rows and the weight of a projection."""
    readers: dict[str, Counter[str]] = {}
    for function in program.functions.values():
        users = function.uses()
        for op in function.ops:
            if isinstance(op, ParameterOp):
                names = (user.name for user in users.get(op.result, ()))
                readers.setdefault(op.parameter, Counter()).update(names)
    return (name for name, names in readers.items() if {"embedding", "linear"} <= names.keys())


def _shared_and_stored(program: Program) -> bool:
    stored = {rule.pattern for rule in program.quantize if rule.quantization is not None}
    return any(name in stored for name in _shared_tables(program))


def _numbers(program: Program) -> Iterator[float]:
    """Numbers that the spec gives to ops."""
    for _, op in program.ops():
        if isinstance(op, Constant):
            yield from np.asarray(op.value, np.float64).ravel().tolist()
        yield from (value for value in op.attributes.values() if isinstance(value, float))


def _number(holds: Callable[[float], bool]) -> Callable[[Program], bool]:
    return lambda program: any(value != 0 and holds(value) for value in _numbers(program))


def _half(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float16(value))


def _attends_to_another(program: Program) -> bool:
    found = ((op.operand("q"), op.operand("k")) for _, op in program.ops() if op.name == "attention")
    return any(q is not None and k is not None and _extent(q) != _extent(k) for q, k in found)


def _extent(value: Value) -> Any:
    return value.type.axes[value.type.sequence] if value.type.sequence is not None else None


def _dtype(dtype: DType, *roles: Role) -> Callable[[Program], bool]:
    def has(program: Program) -> bool:
        values = [value.type for _, value in _inputs(program)]
        return any(t.dtype is dtype and set(roles) <= set(t.roles) for t in values)

    return has


def _ssd(has: Callable[[Ssd], bool]) -> Callable[[Program], bool]:
    return lambda program: any(has(op) for _, op in program.ops() if isinstance(op, Ssd))


FORMS: Mapping[str, Callable[[Program], bool]] = {
    "labels beside time": _labels_beside_time,
    "labels of a fixed number": _labels_of_a_fixed_number,
    "mask": lambda program: any(True for _ in _masks(program)),
    "mask of its own in each row": lambda program: any(Role.BATCH in value.type.roles for value in _masks(program)),
    "mask on attention": _masked("attention"),
    "mask on relative_attention": _masked("relative_attention"),
    "mask on lstm": _masked("lstm"),
    "mask on gru": _masked("gru"),
    "mask on selective_scan": _masked("selective_scan"),
    "mask on ssd": _masked("ssd"),
    "ssd with a decay of each frame": _ssd(lambda op: op.A.type.rank > 1),
    "ssd of several writes": _ssd(lambda op: Sizes.of(op).writes > 1),
    "ssd of several reads": _ssd(lambda op: Sizes.of(op).reads > 1),
    "ssd that reads itself apart": _ssd(lambda op: op.diagonal is not None),
    "bool input": _dtype(DType.BOOL),
    "ids over time": _dtype(DType.I32, Role.TIME),
    "input in {0, 1}": _domain(lambda text: text == "in {0, 1}"),
    "input of other numbers": _domain(lambda text: text.startswith("in {") and text != "in {0, 1}"),
    "input in a range": _domain(lambda text: text.startswith("in [") or " and " in text),
    "input with one limit": _domain(lambda text: text[0] in "<>" and " and " not in text),
    "input above the base rate": lambda program: any(c > 1 for c in _coefficients(program)),
    "input below the base rate": lambda program: any(c < 1 for c in _coefficients(program)),
    "two time dimensions": lambda program: sum(dim.role is Role.TIME for dim in program.dims.values()) > 1,
    "attention to another sequence": _attends_to_another,
    "state that starts from an input": lambda program: _started(program, True),
    "state that starts from a parameter": lambda program: _started(program, False),
    "result without time": _without_time,
    "shared table": lambda program: any(True for _ in _shared_tables(program)),
    "shared table, compressed": _shared_and_stored,
    "utterance of so many frames": lambda program: "length" in program.utterance.settings,
    "utterance of so many labels": lambda program: "labels" in program.utterance.settings,
    "prefill": lambda program: "prefill" in program.utterance.settings,
    "number that fp16 rounds": _number(lambda value: np.isfinite(_half(value)) and _half(value) != value),
    "number below fp16": _number(lambda value: _half(value) == 0),
    "number above fp16": _number(lambda value: np.isinf(_half(value))),
}
"""By name, whether a program has it."""
