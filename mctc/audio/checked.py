"""What a front end takes as sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mctc.audio.scale import other_scale


def checked(samples: ArrayLike) -> NDArray[np.float64]:
    """Samples [n] in float64. Raises `ValueError` for more than one axis, for integers, for numbers not finite and for
    those of another scale."""
    array = np.asarray(samples)
    if array.ndim != 1:
        raise ValueError(f"samples must have one axis, not shape {array.shape}: mix the channels first")
    if array.dtype.kind != "f" and array.size:
        raise ValueError(f"samples must be floats in [-1, 1], not {array.dtype}: divide integers by their full scale")
    result = array.astype(np.float64)
    if not np.isfinite(result).all():
        raise ValueError(f"sample {int(np.flatnonzero(~np.isfinite(result))[0])} is not a finite number")
    if (wrong := other_scale(result)) is not None:
        raise ValueError("; ".join(wrong))
    return result
