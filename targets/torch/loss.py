"""What the loss of a model is written with: its text, and calls of the model's components."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mctc.ir.program import Function
from mctc.ir.types import Role, TensorType


@dataclass(frozen=True)
class Loss:
    """The text of a method: arguments behind self, what its docstring says, its body, and the names that it imports."""

    arguments: tuple[str, ...]
    docs: str
    body: tuple[str, ...]
    imports: frozenset[str]


@dataclass(frozen=True)
class Calls:
    """Calls of components.

    counted: components that take lengths and know how many frames come out. given: arguments of each beside its inputs,
    which are parameters of the model itself. masks: components that take which frames exist, as `valid`. multiple: of
    each component, the number of frames that its whole strides make up.
    """

    counted: Collection[str]
    given: Mapping[str, Sequence[str]]
    masks: Collection[str]
    multiple: Mapping[str, int]

    def text(self, function: Function, arguments: str) -> str:
        more = ["valid=valid"] if function.name in self.masks else []
        return f"self.{function.name}({', '.join([arguments, *more, *self.given[function.name]])})"


def laid_out(name: str, type_: TensorType) -> str:
    """Features (B, T, C) as the component takes them, (B, C, 1, T)."""
    return f"{name}.transpose(1, 2)[:, :, None]" if by_frames(type_) else name


def by_frames(type_: TensorType) -> bool:
    return [axis.role for axis in type_.axes] == [Role.BATCH, Role.CHANNEL, Role.UNIT, Role.TIME]
