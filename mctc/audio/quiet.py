"""Where to cut a long recording: where it is quietest, near the end of what fits.

The rule is that of Qwen3-ASR's published code: within 5 s of the wanted end, the 100 ms of the least sum of magnitudes,
and in them the least magnitude.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SEARCH_S, WINDOW_S = 5.0, 0.1


def cuts(samples: NDArray[np.float32], rate: int, longest: int) -> Iterator[tuple[int, int]]:
    """Pieces of samples [n] at `rate` Hz, from a sample to before another, that make up all of them; each has at most
    `longest`, of which as much as 10 s may be left out, or half of it."""
    begin = 0
    around, window = int(min(SEARCH_S * rate, longest / 4)), int(WINDOW_S * rate)
    while len(samples) - begin > longest:
        left, right = begin + longest - 2 * around, begin + longest
        loud = np.abs(samples[left:right]).astype(np.float64)
        end = left + (_quietest(loud, window) if len(loud) > window else len(loud))
        yield begin, end
        begin = end
    yield begin, len(samples)


def _quietest(loud: NDArray[np.float64], window: int) -> int:
    sums = np.concatenate([[0.0], np.cumsum(loud)])
    first = int(np.argmin(sums[window:] - sums[:-window]))
    return first + int(np.argmin(loud[first : first + window]))
