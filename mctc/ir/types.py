"""Tensor types: an element type and axes, each axis with a role and an exact extent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cached_property, lru_cache
from math import prod
from typing import Any

from mctc.ir.dims import Extent, ExtentLike
from mctc.records import dataclass


class DType(str, Enum):
    F32 = "f32"
    F16 = "f16"
    I32 = "i32"
    BOOL = "bool"

    @property
    def is_float(self) -> bool:
        return self in (DType.F32, DType.F16)


class Role(str, Enum):
    """What an axis means. No pass guesses from position: layout and streaming read roles."""

    BATCH = "batch"
    TIME = "time"
    LABEL = "label"
    CHANNEL = "channel"
    VOCABULARY = "vocabulary"  # a channel axis whose entries are output classes
    FEATURE = "feature"  # frequency bins, heads, SSM states
    UNIT = "unit"  # extent 1, put there by a layout; broadcasts against any role
    PLAIN = "plain"  # parameters and constants

    @property
    def is_channel(self) -> bool:
        return self in (Role.CHANNEL, Role.VOCABULARY)


@dataclass(frozen=True)
class Axis:
    role: Role
    extent: Extent

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return self.role is other.role and self.extent == other.extent if isinstance(other, Axis) else NotImplemented

    def __str__(self) -> str:
        return str(self.extent) if self.role is Role.PLAIN else f"{self.role.value} {self.extent}"


@dataclass(frozen=True)
class TensorType:
    """`bound` is the exclusive upper bound of an integer tensor's entries (token ids), if known."""

    dtype: DType
    axes: tuple[Axis, ...]
    bound: Extent | None = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, TensorType):
            return NotImplemented
        return self.dtype is other.dtype and self.axes == other.axes and self.bound == other.bound

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what is held: another process hashes names otherwise."""
        return TensorType, (self.dtype, self.axes, self.bound)

    @cached_property
    def _hash(self) -> int:
        return hash((self.dtype, self.axes, self.bound))

    @property
    def rank(self) -> int:
        return len(self.axes)

    @cached_property
    def extents(self) -> tuple[Extent, ...]:
        return tuple(axis.extent for axis in self.axes)

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        return tuple([axis.role for axis in self.axes])

    @cached_property
    def is_static(self) -> bool:
        return all(extent.is_static for extent in self.extents)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of a static type. Raises ExtentError when an extent is symbolic."""
        return tuple(extent.value for extent in self.extents)

    @cached_property
    def size(self) -> int:
        return prod(self.shape)

    def find(self, role: Role) -> int | None:
        """Position of the axis with `role` (CHANNEL also finds VOCABULARY), or None."""
        for index, axis in enumerate(self.axes):
            if axis.role is role or (role is Role.CHANNEL and axis.role is Role.VOCABULARY):
                return index
        return None

    @cached_property
    def sequence(self) -> int | None:
        """Position of the axis that a sequence op runs along: time if there is one, else label."""
        time = self.find(Role.TIME)
        return self.find(Role.LABEL) if time is None else time

    @property
    def sequence_role(self) -> Role | None:
        """The role of the axis that a sequence op runs along."""
        return None if self.sequence is None else self.axes[self.sequence].role

    def with_axis(self, index: int, axis: Axis) -> TensorType:
        return self.with_axes((*self.axes[:index], axis, *self.axes[index + 1 :]))

    def with_extent(self, index: int, extent: ExtentLike) -> TensorType:
        return self.with_axis(index, Axis(self.axes[index].role, Extent.of(extent)))

    def with_axes(self, axes: Iterable[Axis]) -> TensorType:
        return TensorType(self.dtype, tuple(axes), self.bound)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.axes, self.bound)

    def substitute(self, values: Mapping[str, ExtentLike]) -> TensorType:
        return self.with_axes(Axis(axis.role, axis.extent.substitute(values)) for axis in self.axes)

    def __str__(self) -> str:
        bound = f" < {self.bound}" if self.bound is not None else ""
        return f"{self.dtype.value}[{', '.join(map(str, self.axes))}]{bound}"


@lru_cache(maxsize=1 << 12)
def shared(type_: TensorType) -> TensorType:
    """The first of equal types. Those of ops and parameters are compared in every pass: sharing them makes that a look
    at which object they are."""
    return type_


def plain(dtype: DType, *extents: ExtentLike) -> TensorType:
    """The type of a parameter or constant: axes without roles."""
    return TensorType(dtype, tuple(Axis(Role.PLAIN, Extent.of(extent)) for extent in extents))
