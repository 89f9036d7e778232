"""Operands and attributes of an op as typed fields of its class.

    class Linear(Op):
        x = operand()
        weight = operand()
        bias = optional_operand()

On an op, `op.x` is its value and `op.bias` a value or None; `op.stride` is the attribute, checked: a wrong one raises
InferenceError. Operands stand in the order of the fields, those of a base class first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar, overload

from mctc.ir.attribute_value import Attributes, AttributeValue
from mctc.ir.inference_error import InferenceError
from mctc.ir.types import DType
from mctc.ir.value import Value


class Required:
    """The default of an attribute that must be given."""


REQUIRED: Final = Required()
Default = AttributeValue | Required
T = TypeVar("T")


class Applied(Protocol):
    """What a field reads: an op."""

    operands: tuple[Value | None, ...]
    attributes: Attributes


class OperandField:
    """An operand: its name, its place, and whether it may be absent or stands for any number of values.

    marks: whether it is a mask, whose ones and zeros say which frames exist.
    """

    optional = False
    variadic = False
    marks = False

    def __init__(self) -> None:
        self.name, self.index = "", 0

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name


class RequiredOperand(OperandField):
    @overload
    def __get__(self, op: None, owner: type) -> RequiredOperand: ...
    @overload
    def __get__(self, op: Applied, owner: type) -> Value: ...
    def __get__(self, op: Applied | None, owner: type) -> RequiredOperand | Value:
        if op is None:
            return self
        value = op.operands[self.index]
        if value is None:
            raise InferenceError(f"operand {self.name} is missing", self.name)
        return value


class OptionalOperand(OperandField):
    optional = True

    @overload
    def __get__(self, op: None, owner: type) -> OptionalOperand: ...
    @overload
    def __get__(self, op: Applied, owner: type) -> Value | None: ...
    def __get__(self, op: Applied | None, owner: type) -> OptionalOperand | Value | None:
        return self if op is None else op.operands[self.index]


class MaskOperand(OptionalOperand):
    marks = True


class VariadicOperand(OperandField):
    variadic = True

    @overload
    def __get__(self, op: None, owner: type) -> VariadicOperand: ...
    @overload
    def __get__(self, op: Applied, owner: type) -> tuple[Value, ...]: ...
    def __get__(self, op: Applied | None, owner: type) -> VariadicOperand | tuple[Value, ...]:
        if op is None:
            return self
        return tuple(value for value in op.operands[self.index :] if value is not None)


def operand() -> RequiredOperand:
    return RequiredOperand()


def optional_operand() -> OptionalOperand:
    return OptionalOperand()


def mask_operand() -> MaskOperand:
    """Ones and zeros that say which frames exist; all do where it is absent."""
    return MaskOperand()


def variadic_operand() -> VariadicOperand:
    """Any number of values; the last operand."""
    return VariadicOperand()


class Attribute(Generic[T]):
    """An attribute: `read` checks what was given and gives its typed form. `key`: its name, if another. An op, which
    never changes, keeps what was read in the field's place."""

    def __init__(self, read: Callable[[str, object], T], default: Default, key: str = "") -> None:
        self.read, self.default, self.key, self.name = read, default, key, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key, self.name = self.key or name, name

    @overload
    def __get__(self, op: None, owner: type) -> Attribute[T]: ...
    @overload
    def __get__(self, op: Applied, owner: type) -> T: ...
    def __get__(self, op: Applied | None, owner: type) -> Attribute[T] | T:
        if op is None:
            return self
        value = self.read(self.key, op.attributes[self.key])
        setattr(op, self.name, value)
        return value


def whole(default: Default = REQUIRED) -> Attribute[int]:
    """A whole number."""
    return Attribute(_whole, default)


def count(default: Default = REQUIRED) -> Attribute[int]:
    """A whole number of at least 1."""
    return Attribute(_count, default)


def limit(default: Default = None) -> Attribute[int | None]:
    """A whole number of at least 0, or None for no limit."""
    return Attribute(_limit, default)


def wholes(default: Default = REQUIRED) -> Attribute[tuple[int, ...]]:
    """A list of whole numbers."""
    return Attribute(_wholes, default)


def pair(least: int, default: Default) -> Attribute[tuple[int, int]]:
    """Two whole numbers, each at least `least`."""
    return Attribute(lambda name, value: _pair(name, value, least), default)


def number(default: Default = REQUIRED) -> Attribute[float]:
    return Attribute(_number, default)


def number_or_none() -> Attribute[float | None]:
    """A number, or None where the op chooses one."""
    return Attribute(lambda name, value: None if value is None else _number(name, value), None)


def probability() -> Attribute[float]:
    """From 0 to below 1, at which nothing would be left."""
    return Attribute(_probability, REQUIRED)


def flag(default: bool = False, key: str = "") -> Attribute[bool]:
    return Attribute(lambda name, value: bool(value), default, key)


def element_type() -> Attribute[DType]:
    return Attribute(_element_type, REQUIRED)


def text(default: Default = REQUIRED, key: str = "") -> Attribute[str]:
    """A word that the op's own inference knows."""
    return Attribute(_text, default, key)


def axis_name(default: Default = REQUIRED) -> Attribute[str | int]:
    """An axis of an operand: a role or 'sequence', or a position."""
    return Attribute(_axis, default)


def _shown(value: object) -> str:
    """A value as the language writes it."""
    return repr(value).lower() if value is None or isinstance(value, bool) else repr(value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InferenceError(f"{name} must be a whole number, not {_shown(value)}", name)
    return value


def _count(name: str, value: object) -> int:
    if (checked := _whole(name, value)) < 1:
        raise InferenceError(f"{name} must be at least 1, not {value}", name)
    return checked


def _limit(name: str, value: object) -> int | None:
    if value is not None and _whole(name, value) < 0:
        raise InferenceError(f"{name} must be at least 0, not {value}", name)
    return None if value is None else _whole(name, value)


def _wholes(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or any(isinstance(v, bool) or not isinstance(v, int) for v in value):
        raise InferenceError(f"{name} must be a list of whole numbers, not {_shown(value)}", name)
    return tuple(value)


def _pair(name: str, value: object, least: int) -> tuple[int, int]:
    values = _wholes(name, value)
    if len(values) != 2 or min(values) < least:
        raise InferenceError(f"{name} must be two numbers, each at least {least}, not {list(values)}", name)
    return values[0], values[1]


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InferenceError(f"{name} must be a number, not {_shown(value)}", name)
    return float(value)


def _probability(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise InferenceError(f"{name} is a probability from 0 to below 1, not {value!r}", name)
    return float(value)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InferenceError(f"{name} must be a word, not {_shown(value)}", name)
    return value


def _axis(name: str, value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InferenceError(f"{name} must be the role of an axis or its position, not {value!r}")
    return value


def _element_type(name: str, value: object) -> DType:
    try:
        return DType(value)
    except ValueError:
        known = ", ".join(dtype.value for dtype in DType)
        raise InferenceError(f"there is no element type {value!r}; there are {known}") from None
