"""How far a result is from what it has to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, inf

Check = Callable[[], float]


def worst(computed: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest error, relative to the largest value of its tensor; infinite where something is not a number that
    should be one. Where an infinity is expected, it has to be there."""
    errors = []
    for result, each in zip(computed, expected, strict=True):
        if not each.numel():
            continue
        finite = each.isfinite()
        same = (result.double() == each) | finite
        error = (result.double() - each).abs().where(finite, 0).max() / each.abs().where(finite, 0).max().clamp_min(1e-30)
        errors.append(float(error.nan_to_num(inf)) if same.all() else inf)
    return max(errors)
