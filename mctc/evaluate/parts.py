"""What can call parts of an artifact's function alone, for a proof op by op."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from mctc.records import dataclass

Array = NDArray[Any]
Place = tuple[slice, ...]
"""Which part of an array: a slice of each of its first axes."""


class Piece(Protocol):
    """Operations of an artifact's function, called alone.

    likeness: what it has in common with pieces that compute the same of what they are given.
    """

    @property
    def likeness(self) -> Hashable: ...

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """What it gives for what it takes, in order. Raises MctcError."""

    @property
    def cut_along(self) -> int | None:
        """The axis of its results along which it makes each place as it makes the others; None where none is known, or
        they are too small to be cut."""

    @property
    def shapes(self) -> Sequence[tuple[int | None, ...] | None]:
        """Of its results, as they are declared."""

    def in_parts(self, arrays: Sequence[Array], *, ends: bool = False) -> Iterator[tuple[Place, list[Array]]]:
        """The same, in parts where that is large, each with its place in all results. Raises MctcError.

        ends: the first and the last part along `cut_along` are enough.
        """


@dataclass(frozen=True)
class Frame:
    """What a function of an artifact takes and gives, and of each of its states, by name, the value that is read of it
    before anything is written, and the one that is written."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    states: Mapping[str, tuple[str, str]]


class Pieces(Protocol):
    """A function of an artifact as operations that can be called alone, by what values are called there."""

    def between(self, takes: Sequence[str], gives: Sequence[str]) -> Piece | None:
        """What makes some values of others and of constants; None where it takes more, or is no matter of values."""

    def stored(self, name: str) -> tuple[Hashable, Sequence[Array]]:
        """The arrays that a constant, or what makes a compressed one of them, is given as they are stored, and what it
        has in common with those that make the same of the same; nothing of a value that is something else."""

    def lies(self, name: str) -> Hashable:
        """The same for values that are made alike of the same bytes of a file; None of those that no file holds."""

    def is_as_stored(self, name: str) -> bool:
        """Whether a value is one stored array and no other type than that."""

    def rest(self) -> Sequence[str]:
        """Operations that none of the pieces so far has, but for constants and what reads or writes a state."""

    def frame(self) -> Frame | None:
        """How values come into the function and leave it; None where that is no matter of names."""


@runtime_checkable
class Parted(Protocol):
    """An engine whose functions can be called in parts."""

    def pieces(self, name: str) -> Pieces:
        """The function stored under a name, in parts."""
