"""How long a GPU works on something: CUDA events around calls that wait in the queue behind a pause.

While the GPU pauses, the host launches a round of calls, so that the host's own time (Python, dispatch) stays out of
the figures of a call with few launches. A call with more launches than the queue holds is measured as users meet it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

ROUND = 20  # calls a round; their launches fit the GPU's queue
LONGEST_PAUSE_S = 0.1
CYCLES_A_SECOND = 2.0e9  # of torch.cuda._sleep, about: a pause that is too long costs only time
SLOW_S = 1.0  # a call that takes longer is measured once

cuda: Any = torch.cuda  # some of what is used here has no types


@dataclass(frozen=True)
class GpuTime:
    """Milliseconds: the median, the 10th and the 90th percentile, over so many runs."""

    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.median:.3f}" if self.median < 10 else f"{self.median:.1f}"


def gpu_time(calls: Sequence[Callable[[], object]], seconds: float = 0.4) -> GpuTime:
    """Of one call. `calls` do the same on different data, in turn, so that a cache holds none of it from before."""
    calls[0]()  # compiles, allocates
    launching, whole = _host_times(calls[0])
    if whole > SLOW_S:
        return _summary([1e3 * whole])
    for call in calls:
        call()
    rounds = max(2, min(12, int(seconds / (ROUND * whole))))
    size = ROUND if whole < 0.1 else 3
    pause = min(LONGEST_PAUSE_S, 1.5 * size * launching)
    return _summary([each for _ in range(rounds) for each in _round(calls, pause, size)])


def wall_time(call: Callable[[], object], runs: int = 50) -> float:
    """Milliseconds of a call among many back to back, the host's time included where it is the longer."""
    call()
    cuda.synchronize()
    start = time.perf_counter()
    for _ in range(runs):
        call()
    cuda.synchronize()
    return 1e3 * (time.perf_counter() - start) / runs


def _host_times(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds until a call returns and until its work is done."""
    cuda.synchronize()
    start = time.perf_counter()
    call()
    launched = time.perf_counter() - start
    cuda.synchronize()
    return launched, time.perf_counter() - start


def _round(calls: Sequence[Callable[[], object]], pause: float, size: int) -> list[float]:
    events = [(cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)) for _ in range(size)]
    cuda.synchronize()
    cuda._sleep(int(pause * CYCLES_A_SECOND))
    for index, (start, end) in enumerate(events):
        start.record()
        calls[index % len(calls)]()
        end.record()
    cuda.synchronize()
    return [start.elapsed_time(end) for start, end in events]


def _summary(times: list[float]) -> GpuTime:
    ordered = sorted(times)
    last = len(ordered) - 1
    return GpuTime(statistics.median(ordered), ordered[last // 10], ordered[last - last // 10], len(ordered))
