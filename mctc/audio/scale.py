"""Full scale is 1: sound is told from whole numbers that somebody wrote or passed as floats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOUDEST = 256.0
"""Times full scale, which is 48 dB beyond it. Speech in whole numbers of 16 bits goes beyond that at once."""
AGAIN = "record or convert it again"


def other_scale(samples: NDArray[np.number]) -> tuple[str, str] | None:
    """What is wrong with the scale of finite samples, and the way out; None for sound."""
    largest = float(np.abs(samples).max(initial=0.0))
    if largest <= LOUDEST:
        return None
    for bits in (16, 32):
        if largest <= 2.0 ** (bits - 1):
            told = f"samples up to {largest:g} where full scale is 1, such as whole numbers of {bits} bits as floats"
            return told, f"divide them by {1 << (bits - 1)}"
    return f"samples up to {largest:g} where full scale is 1", AGAIN
