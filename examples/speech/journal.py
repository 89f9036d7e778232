"""What a run says: a line of JSON every so many steps, TensorBoard and a progress bar where they are installed."""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from .checkpoints import LOG

PROFILED = 20  # steps


class Journal:
    """The log of a run. Only the first process has one that writes."""

    def __init__(self, run: Path, steps: int, first: int, writes: bool) -> None:
        self._path, self._writes = run / LOG, writes
        self._bar = _optional("tqdm", "tqdm", total=steps, initial=first, unit="step", disable=None) if writes else None
        self._board = _optional("torch.utils.tensorboard", "SummaryWriter", run / "board") if writes else None

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Numbers of the steps since the last line, and anything else said once."""
        if not self._writes:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
        self.say(f"step {step}: " + ", ".join(f"{name} {value:.5g}" for name, value in numbers.items()))
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def reached(self, step: int) -> None:
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def say(self, line: str) -> None:
        if self._writes:
            print(line, flush=True) if self._bar is None else self._bar.write(line)

    def close(self) -> None:
        for each in (self._bar, self._board):
            if each is not None:
                each.close()


def _optional(module: str, name: str, *arguments: Any, **options: Any) -> Any:
    try:
        return getattr(import_module(module), name)(*arguments, **options)
    except ImportError:
        return None


class Clock:
    """Wall time between two lines, and the share of it in which the device was in a step, where it has events.

    A device that waits for the next step's data is between steps. What it waits for inside one, `GpuShare` sees.
    """

    def __init__(self, device: torch.device) -> None:
        self._events = device.type == "cuda"
        self._pairs: list[tuple[Any, Any]] = []
        self._begun = time.perf_counter()

    def begin(self) -> None:
        if self._events:
            event: Any = torch.cuda.Event
            pair = event(enable_timing=True), event(enable_timing=True)
            pair[0].record()
            self._pairs.append(pair)

    def end(self) -> None:
        if self._events:
            self._pairs[-1][1].record()

    def read(self) -> tuple[float, float | None]:
        """Seconds since the last call, and the share; the caller has waited for the device."""
        wall = time.perf_counter() - self._begun
        busy = sum(one.elapsed_time(other) for one, other in self._pairs) / 1000.0
        self._pairs.clear()
        return wall, busy / wall if self._events else None

    def restart(self) -> None:
        """Leaves out what was done since the last call."""
        self._begun = time.perf_counter()


class GpuShare:
    """The share of time in which a GPU computes anything, over some steps, by torch's profiler."""

    def __init__(self, on: bool) -> None:
        kinds = [torch.profiler.ProfilerActivity.CUDA]
        self._profiler = torch.profiler.profile(activities=kinds) if on else None
        self._steps = 0

    def step(self) -> float | None:
        """Called before each step; the share once it is known."""
        if self._profiler is None:
            return None
        self._steps += 1
        if self._steps == 1:
            torch.cuda.synchronize()
            self._begun = time.perf_counter()
            self._profiler.start()
        if self._steps <= PROFILED:
            return None
        torch.cuda.synchronize()
        wall = time.perf_counter() - self._begun
        self._profiler.stop()
        events: Any = self._profiler.events
        spans = sorted(
            (each.time_range.start, each.time_range.end) for each in events() or () if each.device_type.name == "CUDA"
        )
        self._profiler = None
        return _covered(spans) / 1e6 / wall


def _covered(spans: list[tuple[float, float]]) -> float:
    """The length of the union of sorted intervals."""
    total, reached = 0.0, float("-inf")
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
