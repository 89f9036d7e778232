"""Arithmetic with extents of which some aren't known before a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod

from mctc.package.network import Extents

Shapes = Sequence[Extents]
"""Of a layer's operands."""
Made = Sequence[Extents | None]
"""Of its results."""


class UnfitError(Exception):
    """A layer's shape rule doesn't fit what comes in: the file contradicts itself, or the rule is another one."""


def of_known(extent: int | None, rule: Callable[[int], int]) -> int | None:
    """The rule's extent; None for one that isn't known. Raises UnfitError when nothing is left."""
    if extent is None:
        return None
    made = rule(extent)
    if made < 1:
        raise UnfitError(f"an extent of {made}")
    return made


def product(extents: Iterable[int | None]) -> int | None:
    """None where one isn't known."""
    known = list(extents)
    return None if None in known else prod(extent for extent in known if extent is not None)


def total(extents: Iterable[int | None]) -> int | None:
    """Their sum; None where one isn't known."""
    known = list(extents)
    return None if None in known else sum(extent for extent in known if extent is not None)


def broadcast(shapes: Sequence[Extents]) -> Extents:
    """The shape of several operands together, aligned at their last axes. Raises UnfitError where they don't fit."""
    rank = max(map(len, shapes), default=0)
    aligned = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_together(extents) for extents in zip(*aligned, strict=True))


def _together(extents: Sequence[int | None]) -> int | None:
    wide = {extent for extent in extents if extent not in (1, None)}
    if len(wide) > 1:
        raise UnfitError(f"extents {', '.join(map(str, extents))} in one axis")
    if wide:
        return wide.pop()
    return None if None in extents else 1


def axis_of(axis: int, rank: int) -> int:
    """A position counted from the front. Raises UnfitError for one that isn't there."""
    if not -rank <= axis < rank:
        raise UnfitError(f"axis {axis} of rank {rank}")
    return axis % rank


def replaced(shape: Extents, axis: int, extent: int | None) -> Extents:
    """The shape with one extent changed."""
    place = axis_of(axis, len(shape))
    return (*shape[:place], extent, *shape[place + 1 :])


def without(shape: Extents, axes: Iterable[int]) -> Extents:
    """The shape with axes dropped; what has no axis left has one of extent 1, as every tensor of a network."""
    dropped = {axis_of(axis, len(shape)) for axis in axes}
    return tuple(extent for place, extent in enumerate(shape) if place not in dropped) or (1,)


def planes(shape: Extents) -> tuple[Extents, int | None, int | None, int | None]:
    """Leading axes, channels, height and width. Raises UnfitError for less than three axes."""
    if len(shape) < 3:
        raise UnfitError(f"rank {len(shape)} where channels, height and width are wanted")
    return shape[:-3], shape[-3], shape[-2], shape[-1]


def reshaped(shape: Extents, target: Sequence[int], keeps: bool = False) -> Extents:
    """The target with -1 worked out; keeps: 0 stands for the extent that was there. Raises UnfitError."""
    if keeps and len(shape) != len(target):
        raise UnfitError(f"rank {len(shape)} becomes {len(target)}")
    wanted = [shape[place] if keeps and not extent else extent for place, extent in enumerate(target)]
    if wanted.count(-1) > 1 or any(extent is not None and extent < -1 for extent in wanted):
        raise UnfitError(f"a target shape {tuple(target)}")
    whole, rest = product(shape), product(extent for extent in wanted if extent != -1)
    if whole is not None and rest is not None:
        fits = rest > 0 and whole % rest == 0 if -1 in wanted else whole == rest
        if not fits:
            raise UnfitError(f"{whole} numbers into {tuple(target)}")
    left = whole // rest if whole is not None and rest else None
    return tuple(left if extent == -1 else extent for extent in wanted)


def sliced(extent: int | None, begin: int | None, end: int | None, stride: int) -> int | None:
    """How many entries Python's slice takes of an axis. Raises UnfitError when there are none."""
    if not stride:
        raise UnfitError("a stride of 0")
    return of_known(extent, lambda known: len(range(*slice(begin, end, stride).indices(known))))
