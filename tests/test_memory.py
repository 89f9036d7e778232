"""What a large read-back does without: states that nobody calls, and memory between what is in use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mctc import memory
from mctc.runtime.step import Step


def test_a_step_makes_its_state_when_it_is_called_and_anew_after_a_reset() -> None:
    made: list[dict[str, Any]] = []

    def make_state() -> dict[str, Any]:
        made.append({"cache": np.zeros(2)})
        return made[-1]

    compiled = SimpleNamespace(make_state=make_state)
    port = SimpleNamespace(name="cache", spec="cache")
    function: Any = SimpleNamespace(stored_as="step", states=(port,), state_outputs=())
    engine: Any = SimpleNamespace(function=lambda name: compiled)
    step = Step(function, engine)
    assert not made
    step.start({"cache": np.ones(2)})
    assert len(made) == 1
    assert step.states()["cache"].tolist() == [1, 1]
    step.reset()
    assert step.states()["cache"].tolist() == [0, 0]
    assert len(made) == 2


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_keep_their_memory(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    memory._trim.cache_clear()
    assert memory._trim()(0) == 0
    memory._trim.cache_clear()
