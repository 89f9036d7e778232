"""Heads, channels of a head and states of a scan with one decay a head."""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Sizes(NamedTuple):
    """H heads of P channels each, N states a channel."""

    heads: int
    width: int
    states: int

    @staticmethod
    def of(x: Tensor, weight: Tensor, B: Tensor, groups: int) -> Sizes:
        """Of x (Batch, H * P, L), weight (Batch, H, L) and B (Batch, groups * N, L)."""
        heads = weight.shape[1]
        return Sizes(heads, x.shape[1] // heads, B.shape[1] // groups)
