"""G.722: the same samples as another decoder's, which were computed once with that of FFmpeg 7."""

from __future__ import annotations

import numpy as np

from corpus.g722 import decoded

CODES = bytes((at * at * 7 + at * 13) % 256 for at in range(2000))
MIDDLE = [-3114, -19520, -13081, -20178, 1187, 12694, 25984, 32767]
END = [-18536, -21739, -16465, 12459, 23519, 32767, 28660, 20767]
SUM = 53219355  # of the absolute values of all


def test_samples_are_those_of_another_decoder() -> None:
    samples = np.rint(decoded(CODES) * 32768).astype(int)
    assert samples.size == 2 * len(CODES)
    assert samples[1000:1008].tolist() == MIDDLE
    assert samples[-8:].tolist() == END
    assert int(np.abs(samples).sum()) == SUM
