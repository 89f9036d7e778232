"""Where words end, by the best path of a transducer."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

pytest.importorskip("torch")

from speech.align import best_path, quietest


def test_the_best_path_is_the_best_of_all_paths() -> None:
    random = np.random.default_rng(0)
    for frames, labels in ((1, 0), (1, 2), (3, 1), (4, 3), (6, 2)):
        blank = np.log(random.random((frames, labels + 1)))
        spoken = np.log(random.random((frames, labels)))

        def score(path: tuple[int, ...], blank: np.ndarray = blank, spoken: np.ndarray = spoken) -> float:
            """Labels where the path has them, and a blank behind each frame."""
            said = sum(float(spoken[frame, label]) for label, frame in enumerate(path))
            waits = (blank[frame, sum(at <= frame for at in path)] for frame in range(len(blank)))
            return said + float(sum(waits))

        paths = list(combinations_with_replacement(range(frames), labels))
        assert tuple(best_path(blank, spoken)) == max(paths, key=score)


def test_an_end_moves_to_the_pause_beside_it() -> None:
    sound = np.ones(16_000, np.float32)
    sound[8_000:8_400] = 0.0
    assert quietest(sound, 16_000, 0.48) == pytest.approx(0.5125, abs=0.005)
    assert quietest(sound, 16_000, 0.3) == pytest.approx(0.3, abs=0.07)
    assert quietest(sound[:10], 16_000, 3.0) == 3.0
