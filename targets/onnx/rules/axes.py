"""Axes moved to where an ONNX op wants them, and back: numpy's `moveaxis` as orders for Transpose."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.dims import Extent


def order_to(rank: int, source: Sequence[int], destination: Sequence[int]) -> list[int]:
    """The order in which axes `source` of a tensor of `rank` come to stand at `destination`; the others keep theirs."""
    there = {to % rank: axis % rank for axis, to in zip(source, destination, strict=True)}
    rest = iter(axis for axis in range(rank) if axis not in there.values())
    return [there[position] if position in there else next(rest) for position in range(rank)]


def inverse(order: Sequence[int]) -> list[int]:
    """The order that undoes another."""
    return sorted(range(len(order)), key=order.__getitem__)


def arranged(extents: Sequence[Extent], order: Sequence[int]) -> list[Extent]:
    return [extents[axis] for axis in order]
