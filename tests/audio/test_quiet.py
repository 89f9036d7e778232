"""Long recordings are cut where they are quietest, near the end of what fits."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.audio.quiet import cuts

RATE = 1000


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 1, int(RATE * seconds)).astype(np.float32)


def test_a_cut_lies_in_the_quietest_place_of_the_last_ten_seconds() -> None:
    samples = noise(50)
    samples[12_000:12_500] = 0.01  # quieter, but too early
    samples[25_000:25_200] *= 0.1
    samples[45_000:45_150] *= 0.1
    pieces = list(cuts(samples, RATE, 30 * RATE))
    assert [begin for begin, _ in pieces[1:]] == [end for _, end in pieces[:-1]]
    assert (pieces[0][0], pieces[-1][1]) == (0, len(samples))
    assert 25_000 <= pieces[0][1] < 25_200
    assert len(pieces) == 2


@pytest.mark.parametrize("seconds", [0, 3, 4, 31.7])
@pytest.mark.parametrize("longest", [4000, 50])
def test_pieces_make_up_the_recording_and_fit(seconds: float, longest: int) -> None:
    pieces = list(cuts(noise(seconds), RATE, longest))
    assert all(0 < end - begin <= longest or seconds == 0 for begin, end in pieces)
    assert sum(end - begin for begin, end in pieces) == int(RATE * seconds)
