"""Building functions: each emitted op is checked and its result types inferred on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.attribute_value import Attributes, AttributeValue, is_array
from mctc.ir.declared import registry
from mctc.ir.dims import ExtentError
from mctc.ir.fields import Required
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError, Op
from mctc.ir.program import Parameter, Program, Value
from mctc.ir.types import DType, TensorType, shared

if TYPE_CHECKING:  # naming it imports numpy
    from numpy.typing import ArrayLike

NAME_OF_KIND = {"f": DType.F32, "i": DType.I32, "b": DType.BOOL}


class Builder:
    """Appends ops to a list. `origin` is given to every op until it is changed."""

    def __init__(self, program: Program, origin: Origin | None = None) -> None:
        self.program, self.ops = program, list[Op]()
        self.origin = origin or Origin()
        self._parameters: dict[str, Value] = {}

    def emit(self, kind: type[Op] | str, /, *operands: Value | None, **attributes: AttributeValue) -> tuple[Value, ...]:
        """Applies an op, given by its class or its name. Absent optional operands are None or left off.

        Raises InferenceError.
        """
        definition = registry().get(kind) if isinstance(kind, str) else kind
        if definition is None:
            raise InferenceError(f"there is no op named {kind}")
        op = make(definition, operands, attributes, self.origin)
        self.ops.append(op)
        return op.results

    def op(self, kind: type[Op] | str, /, *operands: Value | None, **attributes: AttributeValue) -> Value:
        """`emit` for an op with one result of interest: returns the first."""
        return self.emit(kind, *operands, **attributes)[0]

    def reshaped(self, value: Value, type_: TensorType) -> Value:
        """The value with the axes of `type_`; the value itself if it has them already.

        Where only roles differ, the reshape costs nothing: a package has no roles.
        """
        if value.type.axes == type_.axes:
            return value
        extents = (axis.extent.value if axis.extent.is_static else axis.extent for axis in type_.axes)
        return self.op("reshape", value, axes=tuple(zip((axis.role.value for axis in type_.axes), extents)))

    def constant(self, array: ArrayLike, roles: Sequence[str] | None = None, dtype: DType | None = None) -> Value:
        """A constant; `roles` names the role of each axis (plain if left out)."""
        array = np.asarray(array)
        dtype = dtype or NAME_OF_KIND[array.dtype.kind]
        return self.op("constant", value=array, dtype=dtype.value, roles=tuple(roles or ["plain"] * array.ndim))

    def parameter(self, name: str) -> Value:
        """The value of a parameter of the program; one op per name and builder."""
        if name not in self._parameters:
            parameter: Parameter = self.program.parameters[name]
            self._parameters[name] = self.op("parameter", name=name, type=parameter.type)
        return self._parameters[name]


_Key = tuple[type[Op], tuple[TensorType | None, ...], tuple[str, ...], tuple[TensorType | str, ...]]
_KNOWN: dict[_Key, Op] = {}
MOST_KNOWN = 4096  # applications whose inference is remembered: those of some large programs


def make(definition: type[Op], operands: Sequence[Value | None], attributes: Attributes, origin: Origin) -> Op:
    """An op with inferred result types. Raises InferenceError for a wrong operand count, attribute or type.

    Layers are alike, and a pass applies most ops as they were: what was inferred of mctc's own ops, from the types of
    operands and the attributes alone, is remembered.
    """
    key = _key(definition, operands, attributes)
    known = None if key is None else _KNOWN.get(key)
    if known is None:
        op = _inferred(definition, operands, attributes, origin)
        if key is not None:
            if len(_KNOWN) >= MOST_KNOWN:
                _KNOWN.clear()
            _KNOWN[key] = _alone(op)
        return op
    values = (*operands, *[None] * (len(known.operands) - len(operands)))
    op = definition(values, dict(known.attributes), origin).typed([value.type for value in known.results])
    op.verified = known.verified
    return op


def _key(definition: type[Op], operands: Sequence[Value | None], attributes: Attributes) -> _Key | None:
    """What inference depends on; None where that may be more than can be seen. Text tells 1 from True and 1.0."""
    if not definition.__module__.startswith("mctc."):
        return None
    values: list[TensorType | str] = []
    for each in attributes.values():
        if is_array(each):
            return None
        values.append(each if isinstance(each, TensorType) else repr(each))
    types = tuple([None if value is None else value.type for value in operands])
    return definition, types, tuple(attributes), tuple(values)


def _alone(op: Op) -> Op:
    """The op without the operands and the history that it would keep in memory."""
    bare = type(op)((None,) * len(op.operands), op.attributes, Origin())
    bare.results, bare.verified = tuple(Value(value.type) for value in op.results), op.verified
    return bare


def _inferred(definition: type[Op], operands: Sequence[Value | None], attributes: Attributes, origin: Origin) -> Op:
    declared = definition.fields
    values = list(operands)
    variadic = bool(declared) and declared[-1].variadic
    if not variadic:
        if len(values) > len(declared):
            raise InferenceError(f"{definition.name} takes {len(declared)} operands, not {len(values)}")
        values += [None] * (len(declared) - len(values))
    for index, operand in enumerate(declared):
        missing = index >= len(values) or values[index] is None
        if missing and not operand.optional and not operand.variadic:
            raise InferenceError(f"{definition.name} needs operand {operand.name}", operand.name)
    _check_entries(definition, values)
    complete = _complete(definition, attributes)
    for name, read in definition.checked.items():
        read(name, complete[name])
    op = definition(tuple(values), complete, origin)
    try:
        inferred = op.infer()
    except ExtentError as error:
        raise InferenceError(str(error)) from error
    types = tuple(inferred) if isinstance(inferred, Sequence) else ()
    if not types or not all(isinstance(type_, TensorType) for type_ in types):
        raise InferenceError(f"`infer` of op {definition.name} gives {inferred!r:.60}, where a tuple of types belongs")
    op.typed(tuple(map(shared, types)))
    op.verified = op.around()
    return op


def _check_entries(definition: type[Op], values: Sequence[Value | None]) -> None:
    declared, takes = definition.fields, definition.takes
    for index, value in enumerate(values):
        if takes is not None and value is not None and value.type.dtype not in takes:
            wanted = "numbers" if DType.I32 in takes else "a floating-point tensor"
            told, operand = (
                f"{definition.name} needs {wanted}, not {value.type}",
                declared[min(index, len(declared) - 1)],
            )
            hint = 'write `cast(m, "f32")`: true is 1, false is 0' if value.type.dtype is DType.BOOL else None
            raise InferenceError(told, operand.name, hint=hint)


def _complete(definition: type[Op], attributes: Attributes) -> dict[str, AttributeValue]:
    unknown = sorted(set(attributes) - set(definition.defaults))
    if unknown:
        known = ", ".join(definition.defaults) or "none"
        raise InferenceError(f"{definition.name} has no attribute {unknown[0]} (it has: {known})")
    complete: dict[str, AttributeValue] = {}
    for name, default in definition.defaults.items():
        value = attributes.get(name, default)
        if isinstance(value, Required):
            raise InferenceError(f"{definition.name} needs attribute {name}")
        complete[name] = _frozen(value)
    return complete


def _frozen(value: AttributeValue) -> AttributeValue:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
