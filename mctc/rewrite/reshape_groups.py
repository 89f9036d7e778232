"""Axes that are cut into several, or made of several: an entry of the outer one goes with all that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.ops.shape import Reshape, Transpose
from mctc.ir.types import Role, TensorType

if TYPE_CHECKING:
    from mctc.ir.op import Op
    from mctc.ir.program import Value
    from mctc.rewrite.axis_groups import Groups

ONE = Extent.of(1)
Block = tuple[list[int], list[int]]


def reshape(op: Op, groups: Groups) -> bool:
    """Frames side by side in the channels, or one behind the other: a channel goes in each of them. One axis that
    becomes several, or several that become one: what lies along the inner ones stays."""
    assert isinstance(op, Reshape)
    x, y = op.x, op.result
    if _regroups_frames(x.type, y.type):
        at = x.type.rank - 1
        groups.alike(x, y, without=at)
        fewer, more = sorted((groups.known(x, at), groups.known(y, at)), key=len)
        groups.join(more, np.tile(fewer, len(more) // len(fewer)))
        return True
    blocks = list(_blocks(x.type, y.type))
    alike = all(_product(x.type, before) == _product(y.type, after) for before, after in blocks)
    if not alike or not all(len(before) == 1 or len(after) == 1 for before, after in blocks):
        return False
    for before, after in blocks:
        if len(before) == 1:
            _cut_up(op, (x, before[0]), (y, after), groups)
        else:
            _cut_up(op, (y, after[0]), (x, before), groups)
    return True


def _cut_up(op: Op, whole: tuple[Value, int], several: tuple[Value, list[int]], groups: Groups) -> None:
    """An axis, and those that hold its entries, the outermost first."""
    value, (outer, *inner) = several
    entries, parts = groups.nodes(*whole), groups.nodes(value, outer)
    if entries is None or parts is None:
        return
    groups.join(entries, np.repeat(parts, len(entries) // len(parts)))
    for axis in inner:
        groups.keep(op, value, axis)


def transpose(op: Op, groups: Groups) -> bool:
    assert isinstance(op, Transpose)
    for to, of in enumerate(op.order):
        groups.join(groups.nodes(op.x, of), groups.nodes(op.result, to))
    return True


def _regroups_frames(x: TensorType, y: TensorType) -> bool:
    """Whether what changes is how many frames and channels the last two axes have, and nothing else."""
    extents = [type_.extents[-1] for type_ in (x, y) if type_.rank]
    if len(extents) < 2 or not all(each.is_static for each in extents):
        return False
    fewer, more = sorted(each.value for each in extents)
    return (
        x.rank == y.rank >= 2 and x.roles == y.roles and x.roles[-1] is Role.CHANNEL and x.sequence == x.rank - 2
        and x.axes[:-2] == y.axes[:-2] and fewer < more and more % fewer == 0
    )  # fmt: skip


def _blocks(x: TensorType, y: TensorType) -> Iterator[Block]:
    """The axes that hold the same entries, from the outermost on; those of extent 1 are in none."""
    left, right = ([at for at, each in enumerate(type_.extents) if each != ONE] for type_ in (x, y))
    while left or right:
        before, after = left[:1], right[:1]
        del left[:1], right[:1]
        while (a := _product(x, before)) != (b := _product(y, after)):
            grows, rest = (before, left) if right == [] or (left and _less(a, b)) else (after, right)
            if not rest:
                break
            grows.append(rest.pop(0))
        yield before, after


def _product(type_: TensorType, axes: list[int]) -> Extent:
    total = ONE
    for axis in axes:
        total = total * type_.extents[axis]
    return total


def _less(one: Extent, other: Extent) -> bool:
    return one.is_static and (not other.is_static or one.value < other.value)
