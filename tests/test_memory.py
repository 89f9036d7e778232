"""What a large read-back does without: states that nobody calls, and memory between what is in use."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
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


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc")
def test_free_memory_between_arrays_in_use_goes_back_to_the_system() -> None:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [library.malloc(SIZE) for _ in range(512)]  # small enough to be of the heap
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    for block in blocks[:-1]:
        library.free(block)  # and the last one keeps the heap from shrinking
    before = resident()
    memory.give_back()
    assert before - resident() > 400 * SIZE
    library.free(blocks[-1])


SIZE = 100_000


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
