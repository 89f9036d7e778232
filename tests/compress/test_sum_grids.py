"""The grid of a calibration's sums: of the first few utterances, so that one that is known by heart may come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.compress.calibrate import calibrate
from mctc.compress.errors import CompressError
from mctc.compress.growing_sums import GrowingSums
from mctc.compress.statistics import Statistics
from mctc.score.shard import Shard


@dataclass
class Says:
    """A learner whose gradients, of one parameter, are what they are said to be, utterance by utterance."""

    gradients_of: list[float]
    ids: list[str]

    @property
    def utterances(self) -> list[Says]:
        return [replace(self, ids=[each]) for each in self.ids]

    @property
    def id(self) -> str:
        return self.ids[0]

    def heard(self, at: int) -> tuple[int]:
        return (at,)

    def gradients(self, at: int, give: Callable[[str, Any], None], take: Callable[[str, Any], None]) -> float:
        give("w", np.full(3, self.gradients_of[at], np.float32))
        return abs(self.gradients_of[at])


def calibrated(gradients: list[float], folder: Path) -> Statistics:
    says: Any = Says(gradients, [f"utterance-{at}" for at in range(len(gradients))])
    statistics = Statistics({}, len(gradients), GrowingSums(folder))
    calibrate(says, says, statistics, Shard(1, 1), folder / "stats.safetensors", lambda _: None)
    return statistics


def test_what_is_known_by_heart_may_come_first(tmp_path: Path) -> None:
    """Its squared gradients are less than 2^-31 of the others'."""
    found = calibrated([0.0, 1e-5, 3.0, 4.0], tmp_path).fisher("w")
    assert found is not None
    np.testing.assert_allclose(found, np.full(3, 25 / 4), rtol=1e-8)


@pytest.mark.parametrize(("gradient", "said"), [(1e6, "as large as"), (np.inf, "not finite")])
def test_the_utterance_that_no_sum_has_room_for_is_named(gradient: float, said: str, tmp_path: Path) -> None:
    with pytest.raises(CompressError, match=f"utterance-9: .*{said}"):
        calibrated([1e-3] * 9 + [gradient], tmp_path)
