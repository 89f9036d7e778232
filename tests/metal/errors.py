"""How far a result is from what it has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, inf

Check = Callable[[], float]


def worst(computed: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest error, relative to the largest value of its tensor; infinite where something is not a number that
    should be one. Where an infinity is expected, it has to be there."""
    return max(error(result.double(), each) for result, each in zip(computed, expected, strict=True) if each.numel())


def error(result: Tensor, expected: Tensor) -> float:
    finite = expected.isfinite()
    if not (finite | (result == expected)).all():
        return inf
    largest = expected.abs().where(finite, 0).max().clamp_min(1e-30)
    return float(((result - expected).abs().where(finite, 0).max() / largest).nan_to_num(inf))
