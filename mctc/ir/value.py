"""Values: what ops take and give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.ir.types import TensorType

if TYPE_CHECKING:
    from mctc.ir.op import Op


class Value:
    """A typed SSA value: a function input, a state's incoming value, or the result of an op.

    The name of a result is what the spec calls it, if it does: a hint for readers, not part of the program.
    """

    __slots__ = ("index", "name", "owner", "type")

    def __init__(self, type_: TensorType, name: str = "", owner: Op | None = None, index: int = 0) -> None:
        self.type, self.name, self.owner, self.index = type_, name, owner, index

    def __repr__(self) -> str:
        return f"%{self.name or '?'}: {self.type}"


def name_like(new: Value, old: Value) -> None:
    """Hands the spec's name on to the result of an op that takes the place of another's."""
    if old.name and not new.name and new.owner is not None:
        new.name = old.name
