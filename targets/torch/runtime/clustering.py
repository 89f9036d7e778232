"""Palettes of fp16 numbers by k-means (Lloyd, 1982), in the package's own order of arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

ITERATIONS = 40  # of Lloyd's algorithm; it stops earlier when no centre moves
LARGEST_KEY = 0x7BFF  # the bits of 65504, the largest number of fp16
KEYS = 2 * LARGEST_KEY + 1


def clustered(half: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """A sorted table of `size` fp16 values for each row of finite fp16 numbers, and the code of every entry in uint8.

    There are 63487 finite fp16 numbers: the clustering runs over those that occur, weighted by their counts. It runs on
    the CPU wherever the rows lie, because it is fp64 arithmetic in the package's own order.
    """
    rows = _keys(half)
    present, counts = zip(*map(_histogram, rows))
    points = [_values(keys) for keys in present]
    table = _lloyd(points, counts, size).half()
    codes = torch.empty_like(rows, dtype=torch.uint8)
    for index, row in enumerate(rows):
        code_of = torch.zeros(KEYS, dtype=torch.uint8)
        centres = table[index].double()  # noqa: MPS010 - on the CPU
        code_of[present[index]] = _nearest(points[index], centres).to(torch.uint8)
        codes[index] = code_of.to(row.device).index_select(0, row)
    return table.to(half.device), codes


def _keys(half: Tensor) -> Tensor:
    """Finite fp16 numbers by rank, from 0 for -65504 to 2 * LARGEST_KEY for 65504; -0 has the rank of 0."""
    bits = half.view(torch.int16).int()
    return torch.where(bits < 0, -(bits & 0x7FFF), bits) + LARGEST_KEY


def _values(keys: Tensor) -> Tensor:
    """The fp16 numbers of these ranks, in fp64."""
    signed = keys - LARGEST_KEY
    return signed.abs().to(torch.int16).view(torch.float16).double() * signed.sign()  # noqa: MPS010 - on the CPU


def _histogram(keys: Tensor) -> tuple[Tensor, Tensor]:
    """The different keys in order, and how often each occurs, in fp64."""
    counts = torch.bincount(keys, minlength=KEYS).cpu()
    present = counts.nonzero().flatten()
    return present, counts[present].double()  # noqa: MPS010 - on the CPU


def _lloyd(points: Sequence[Tensor], weights: Sequence[Tensor], size: int) -> Tensor:
    """`size` sorted centres for each row of sorted weighted points, from quantiles of the points."""
    row = pad_sequence(list(points), batch_first=True, padding_value=math.inf)
    mass = _sums(weights)
    moment = _sums([each * weight for each, weight in zip(points, weights)])
    targets = (torch.arange(size, dtype=torch.float64) + 0.5) / size * mass[:, -1:]
    quantiles = torch.searchsorted(mass[:, 1:].contiguous(), targets)
    centres = torch.stack([_start(each, at, size) for each, at in zip(points, quantiles)])
    first, last = torch.zeros(len(row), 1, dtype=torch.int64), torch.full((len(row), 1), row.shape[1])
    movable = torch.tensor([[each.numel() > size] for each in points])
    for _ in range(ITERATIONS):
        edges = torch.cat([first, torch.searchsorted(row, _between(centres)), last], dim=1)
        total = mass.gather(1, edges).diff()
        mean = moment.gather(1, edges).diff() / total.clamp(min=1)
        moved = torch.where(movable & (total > 0), mean, centres)
        if torch.equal(moved, centres):
            break
        centres = moved.sort().values
    return centres


def _sums(rows: Sequence[Tensor]) -> Tensor:
    """Of each row the sums of its first 0, 1, 2 ... numbers."""
    return nn.functional.pad(pad_sequence(list(rows), batch_first=True).cumsum(1), (1, 0))


def _start(points: Tensor, quantiles: Tensor, size: int) -> Tensor:
    if points.numel() <= size:
        return torch.cat([points, points[-1:].expand(size - points.numel())])
    return _refilled(torch.unique(points[quantiles]), points, size)


def _refilled(centres: Tensor, points: Tensor, size: int) -> Tensor:
    """Adds the points farthest from their centre until there are `size` centres (quantiles of few values repeat)."""
    while centres.numel() < size:
        distance = (points - centres[_nearest(points, centres)]).abs()
        missing = min(size - centres.numel(), max(1, size // 8))
        farthest = points[distance.argsort(descending=True, stable=True)[:missing]]
        centres = torch.unique(torch.cat([centres, farthest]))
    return centres


def _nearest(points: Tensor, centres: Tensor) -> Tensor:
    """The index of the nearest of the sorted centres for every point."""
    return torch.searchsorted(_between(centres), points)


def _between(centres: Tensor) -> Tensor:
    return (centres[..., 1:] + centres[..., :-1]) / 2
