"""Which result an input over time takes, in training and where a build is run: the one of its name, else the encoder's
first."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.ir.dims import Extent
from mctc.ir.types import Role, TensorType
from mctc.objectives.misfit import MisfitError
from mctc.records import dataclass


@dataclass(frozen=True)
class Result:
    """A result of a component: two components may give results of one name."""

    component: str
    name: str

    def __str__(self) -> str:
        return f"`{self.name}` of `{self.component}`"


def taken(component: str, name: str, type_: TensorType, results: Mapping[Result, TensorType]) -> Result:
    """The result that an input of a component takes.

    results: those of the components before it, the encoder's first result in front. Raises MisfitError where several
    have the input's name, and where none has it and another component gives vectors as the encoder's first result does.
    """
    named = [result for result in results if result.name == name]
    if len(named) > 1:
        told = f"`{name}` of `{component}` could take {_or(named)}, which have its name"
        raise MisfitError(told, hint="give the results names of their own, and the input that of the one it takes")
    if named:
        return named[0]
    first = next(iter(results))
    others = [each for each in results if each.component != first.component and alike(results[each], type_)]
    if others and alike(results[first], type_):
        told = f"`{name}` of `{component}` could take {_or([first, *others])}: they have its type, and none its name"
        raise MisfitError(told, hint=named_for(name))
    return first


def named_for(name: str) -> str:
    """The cure where an input is given another result than it needs."""
    return f"call the result that it takes `{name}`, as in `-> {name}: f32[B, T, 64]`; else it is the encoder's first"


def alike(one: TensorType, other: TensorType) -> bool:
    """Whether two types are vectors of as many channels for the same frames; scores of classes are no such vectors as
    channels are."""
    (width, frames, scores), others = _vectors(one), _vectors(other)
    return None not in (width, frames) and (width, frames, scores) == others


def _vectors(type_: TensorType) -> tuple[int | None, Extent | None, bool]:
    return static_width(type_), frame_extent(type_), type_.find(Role.VOCABULARY) is not None


def static_width(type_: TensorType) -> int | None:
    """How many channels a type has."""
    at = type_.find(Role.CHANNEL)
    return type_.extents[at].value if at is not None and type_.extents[at].is_static else None


def frame_extent(type_: TensorType) -> Extent | None:
    at = type_.find(Role.TIME)
    return None if at is None else type_.extents[at]


def _or(results: list[Result]) -> str:
    return " or ".join(map(str, results))
