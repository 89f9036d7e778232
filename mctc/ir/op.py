"""One declaration per op: operands, attributes, type inference, numpy reference and time behaviour in one class."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mctc.diagnostics.errors import MctcError
from mctc.ir.time import POINTWISE, TimeBehaviour
from mctc.ir.types import DType, Role, TensorType

Array = NDArray[Any]
REQUIRED = object()  # the default of an attribute that must be given


def ieee() -> AbstractContextManager[None]:
    """Arithmetic as IEEE 754 has it: infinity where a value is too large, NaN where there is none. Whether a result is
    finite is for its reader to check and to tell with the spec's line; numpy would warn on standard error."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


class InferenceError(ValueError):
    """The op cannot be applied to these operands. `operand` names the one at fault, if one is."""

    def __init__(self, message: str, operand: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.operand, self.hint = operand, hint


class DeclarationError(MctcError):
    """An op whose declaration does not give what it has to."""


@dataclass(frozen=True)
class Operand:
    name: str
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True)
class Signature:
    """Operand types and attribute values of one application of an op, as inference and reference see them."""

    types: Mapping[str, TensorType]  # absent optional operands are missing
    variadic: tuple[TensorType, ...]
    attributes: Mapping[str, Any]

    def __getitem__(self, operand: str) -> TensorType:
        return self.types[operand]

    def __contains__(self, operand: str) -> bool:
        return operand in self.types

    def attribute(self, name: str) -> Any:
        return self.attributes[name]

    def int(self, name: str) -> builtins.int:
        value = self.attributes[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise InferenceError(f"{name} must be a whole number, not {value!r}")
        return value

    def ints(self, name: str) -> tuple[builtins.int, ...]:
        value = self.attributes[name]
        if not isinstance(value, (list, tuple)) or any(isinstance(v, bool) or not isinstance(v, int) for v in value):
            raise InferenceError(f"{name} must be a list of whole numbers, not {value!r}")
        return tuple(value)

    def float(self, name: str) -> builtins.float:
        value = self.attributes[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InferenceError(f"{name} must be a number, not {value!r}")
        return float(value)

    def count(self, name: str) -> builtins.int:
        """A whole number of at least 1."""
        value = self.int(name)
        if value < 1:
            raise InferenceError(f"{name} must be at least 1, not {value}")
        return value

    def limit(self, name: str) -> builtins.int | None:
        """A whole number of at least 0, or None for no limit."""
        if self.attributes[name] is not None and self.int(name) < 0:
            raise InferenceError(f"{name} must be at least 0, not {self.int(name)}")
        return None if self.attributes[name] is None else self.int(name)

    def dtype(self, name: str) -> DType:
        value = self.attributes[name]
        try:
            return DType(value)
        except ValueError:
            known = ", ".join(dtype.value for dtype in DType)
            raise InferenceError(f"there is no element type {value!r}; there are {known}") from None

    def axis(self, operand: str, name: str = "axis") -> builtins.int:
        """The position that attribute `name` means: a role ('time') or a position."""
        return axis_position(self.types[operand], self.attributes[name], operand)


def role_named(role: object) -> Role:
    """The role of that name. Raises InferenceError when there is none."""
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(known.value for known in Role)
        raise InferenceError(f"there is no role {role!r}; there are {known}") from None


def axis_position(type_: TensorType, axis: object, operand: str) -> int:
    if isinstance(axis, str):
        if axis == "sequence":
            index = type_.sequence
        else:
            index = next((i for i, a in enumerate(type_.axes) if a.role.value == axis), None)
            if index is None and axis == "channel":
                index = next((i for i, a in enumerate(type_.axes) if a.role.is_channel), None)
        if index is None:
            raise InferenceError(f"{type_} has no {axis} axis", operand)
        return index
    if isinstance(axis, int) and not isinstance(axis, bool) and -type_.rank <= axis < type_.rank:
        return axis % type_.rank
    raise InferenceError(f"{type_} has no axis {axis!r}", operand)


FLOATS = (DType.F32, DType.F16)


class OpDef:
    """Base of all op declarations. `doc` is the class docstring; subclasses are registered by `declare`.

    operands: 'x weight bias?' ('?' optional, '*' variadic and last).
    attributes: name -> default (REQUIRED if it must be given).
    nonzero: operands at whose zeros the op is not finite; a stream keeps frames that do not exist away from them.
    takes: element types of its operands; None where it only moves entries, or `infer` asks by itself.
    forms: how a target writes the op, by the target's name, for an op that the target does not know (docs/plugins.md).
    numbers: attributes that an artifact stores as numbers of the type that it computes in.
    masks: whether a finite number stands for minus infinity in it, so that its operands can outgrow it.
    outside_training: the operand that the op gives as it is outside of training, of an op that acts in training alone.
    rounds: whether `reference` takes `rounding`, to round what engines round inside of the op as well.
    """

    name: ClassVar[str]
    operands: ClassVar[str]
    attributes: ClassVar[Mapping[str, object]] = {}
    effects: ClassVar[bool] = False
    outside_training: ClassVar[str] = ""
    nonzero: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[DType, ...] | None] = None
    forms: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    numbers: ClassVar[tuple[str, ...]] = ()
    masks: ClassVar[bool] = False
    rounds: ClassVar[bool] = False

    @classmethod
    @cache
    def operand_list(cls) -> tuple[Operand, ...]:
        return tuple(
            Operand(word.rstrip("?*"), word.endswith("?"), word.endswith("*")) for word in cls.operands.split()
        )

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        """Result types. Raises InferenceError in the author's terms."""
        raise InferenceError(f"{cls.name} declares no inference")

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        """Results for numpy operands (None for an absent optional one; a tuple for a variadic one)."""
        raise InferenceError(f"{cls.name} declares no reference")

    @classmethod
    def acts(cls, s: Signature) -> bool:
        """For an op that acts in training alone: whether it does so with these attributes."""
        return True

    @classmethod
    def outgrown(cls, s: Signature, *operands: Any) -> bool:
        """For an op that `masks`: whether operands are so large that the number is no longer far below the others."""
        return False

    @classmethod
    def number(cls, s: Signature, name: str) -> float:
        """The value of one of `numbers`; that of one which is left to the op, where the attribute is None."""
        return s.float(name)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        """How frames of the results depend on frames of the operands, along the axis that the op runs along: time, or
        labels where there is no time."""
        return POINTWISE

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        """The same along the axis of `role`, time or label; pointwise where the op runs along another one."""
        sequences = (type_.sequence_role for type_ in (*s.types.values(), *s.variadic))
        return cls.time(s) if next(filter(None, sequences), role) is role else POINTWISE


_REGISTRY: dict[str, type[OpDef]] = {}


def declare(cls: type[OpDef]) -> type[OpDef]:
    """Registers an op declaration. Raises ValueError when the name is taken."""
    known = _REGISTRY.get(cls.name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"op {cls.name!r} is declared twice: in {known.__module__} and in {cls.__module__}")
    _REGISTRY[cls.name] = cls
    return cls


def registry() -> Mapping[str, type[OpDef]]:
    """All declared ops by name."""
    import mctc.ir.ops  # noqa: F401  declares the built-in ops

    return _REGISTRY


def sliding(array: Array, axis: int, kernel: int, stride: int, dilation: int) -> Array:
    """Windows of `kernel` taps along `axis`; the taps become a new last axis. A view."""
    span = dilation * (kernel - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(array, span, axis=axis)
    index: list[slice] = [slice(None)] * windows.ndim
    index[axis], index[-1] = slice(None, None, stride), slice(None, None, dilation)
    return windows[tuple(index)]
