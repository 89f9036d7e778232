"""G.722 at 64 kbit/s to samples at 16 kHz: the decoder of ITU-T recommendation G.722, section 4.

Two bands of adaptive differential PCM, each predicted by two poles and six zeros, and a
quadrature mirror filter behind them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from corpus.sound import Samples

# Tables of the recommendation: inverse quantisers of 6, 4 and 2 bits, and what their codes add to the logarithmic scale
# factor.
_SIX = (24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944,
        4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728)  # fmt: skip
SIX_BITS = (*4 * (-136,), *(-level for level in _SIX), *_SIX, 432, 136, -432, -136)
_FOUR = (20456, 12896, 8968, 6288, 4240, 2584, 1200)
FOUR_BITS = (0, *(-level for level in _FOUR), *_FOUR, 0)
TWO_BITS = (-7408, -1616, 7408, 1616)
_STEPS = (3042, 1198, 538, 334, 172, 58, -30)
LOW_STEPS = (-60, *_STEPS, *_STEPS, -60)
HIGH_STEPS = (798, -214, 798, -214)
POWERS = tuple(int(2048 * 2 ** (step / 32) + 0.5) for step in range(32))
MIRROR = np.array((3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11))
LOW_MOST, HIGH_MOST = 18432, 22528  # of the logarithmic scale factors
LOW_SHIFT, HIGH_SHIFT = 8, 10


def decoded(data: bytes) -> Samples:
    """Samples, -1 to 1, two for a byte."""
    low, high = _Band(32, LOW_SHIFT, LOW_MOST), _Band(8, HIGH_SHIFT, HIGH_MOST)
    bands = np.empty((len(data), 2), np.int64)
    for at, code in enumerate(data):
        fine, coarse, upper = code & 63, (code & 63) >> 2, code >> 6
        below = min(16383, max(-16384, low.predicted + (low.scale * SIX_BITS[fine] >> 15)))
        low.adapt(low.scale * FOUR_BITS[coarse] >> 15, LOW_STEPS[coarse])
        step = high.scale * TWO_BITS[upper] >> 15
        above = min(16383, max(-16384, high.predicted + step))
        high.adapt(step, HIGH_STEPS[upper])
        bands[at] = below + above, below - above
    return _mirrored(bands)


def _mirrored(bands: NDArray[np.int64]) -> Samples:
    past = np.pad(bands, ((len(MIRROR) - 1, 0), (0, 0)))
    even = np.convolve(past[:, 1], MIRROR, "valid")
    odd = np.convolve(past[:, 0], MIRROR[::-1], "valid")
    both = np.stack((even, odd), axis=1).reshape(-1) >> 11
    samples: Samples = np.clip(both, -32768, 32767).astype(np.float32) / np.float32(32768)
    return samples


def _held(value: int) -> int:
    """Within 16 bits."""
    return -32768 if value < -32768 else 32767 if value > 32767 else value


class _Band:
    """The adaptive predictor and scale factor of one band: blocks 3 and 4 of the recommendation."""

    def __init__(self, scale: int, shift: int, most: int) -> None:
        self.predicted, self.scale = 0, scale
        self._shift, self._most, self._log, self._zeros_part = shift, most, 0, 0
        self._poles, self._sums, self._known = (0, 0), (0, 0), 0  # coefficients; p and r of the recommendation
        self._zeros, self._doubled = [0] * 6, [0] * 6  # coefficients; twice the last differences

    def adapt(self, step: int, log_step: int) -> None:
        """Takes a quantised difference in, and what its code adds to the scale factor."""
        self._log = min(self._most, max(0, (self._log * 127 >> 7) + log_step))
        power, shift = POWERS[self._log >> 6 & 31], self._shift - (self._log >> 11)
        self.scale = (power << -shift if shift < 0 else power >> shift) << 2
        known, total = _held(self.predicted + step), _held(self._zeros_part + step)
        first, second = self._poles_after(total)
        self._zeros_after(step)
        self._zeros_part = _held(sum([zero * past >> 15 for zero, past in zip(self._zeros, self._doubled)]))
        poles = (first * _held(2 * known) >> 15) + (second * _held(2 * self._known) >> 15)
        self._known, self._poles = known, (first, second)
        self.predicted = _held(_held(poles) + self._zeros_part)

    def _poles_after(self, total: int) -> tuple[int, int]:
        (first, second), (last, before) = self._poles, self._sums
        same, same_before = (total < 0) == (last < 0), (total < 0) == (before < 0)
        turned = min(32767, -_held(4 * first)) if same else _held(4 * first)
        second = (128 if same_before else -128) + (turned >> 7) + (second * 32512 >> 15)
        second = min(12288, max(-12288, second))
        most = 15360 - second
        first = min(most, max(-most, (192 if same else -192) + (first * 32640 >> 15)))
        self._sums = (total, last)
        return first, second

    def _zeros_after(self, step: int) -> None:
        """A coefficient that decays by a part in 256 while 128 is added to it stays within 16 bits."""
        change = (step > 0) - (step < 0) << 7
        self._zeros = [
            (zero * 32640 >> 15) + (change if past >= 0 else -change) for zero, past in zip(self._zeros, self._doubled)
        ]
        self._doubled = [_held(2 * step), *self._doubled[:-1]]
