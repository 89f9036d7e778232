"""Types of the values in an ML program."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mctc.records import dataclass


@dataclass(frozen=True)
class TensorType:
    """A tensor: MIL's name of the element type and the extents; None is an extent known only at run time.

    `shape` itself is None where not even the rank is known (a variadic dimension). A scalar has shape ().
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what is held: another process hashes names otherwise."""
        return TensorType, (self.dtype, self.shape)

    @cached_property
    def _hash(self) -> int:
        return hash((self.dtype, self.shape))

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{', '.join('?' if n is None else str(n) for n in self.shape)}]"


@dataclass(frozen=True)
class ListType:
    """A list of tensors of one type; `length` is None where it can grow."""

    element: TensorType
    length: int | None

    def __str__(self) -> str:
        return f"list<{self.element}, {'?' if self.length is None else self.length}>"


@dataclass(frozen=True)
class StateType:
    """A state: a tensor that lives across calls."""

    wrapped: TensorType

    def __str__(self) -> str:
        return f"state<{self.wrapped}>"


@dataclass(frozen=True)
class OtherType:
    """A tuple or dictionary (classifier outputs); named, not interpreted."""

    kind: str

    def __str__(self) -> str:
        return self.kind


ValueType = TensorType | ListType | StateType | OtherType


@dataclass(frozen=True)
class NamedType:
    """A value's name and type."""

    name: str
    type: ValueType

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


def differ(one: ValueType, other: ValueType) -> bool:
    """Whether no value can have both types; an unknown extent agrees with every extent."""
    if not isinstance(one, TensorType) or not isinstance(other, TensorType):
        return type(one) is not type(other)
    if one.dtype != other.dtype:
        return True
    if one.shape is None or other.shape is None:
        return False
    return len(one.shape) != len(other.shape) or any(
        a is not None and b is not None and a != b for a, b in zip(one.shape, other.shape, strict=True)
    )
