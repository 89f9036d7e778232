"""What a run says: a line of JSON every so many steps, TensorBoard and a progress bar where they are installed."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from .checkpoints import LOG


class Journal:
    """The log of a run. Of several processes only the first one writes."""

    def __init__(self, run: Path, steps: int, first: int, writes: bool) -> None:
        self._path, self._writes = run / LOG, writes
        self._bar = _optional("tqdm", "tqdm", writes, total=steps, initial=first, unit="step", disable=None)
        self._board: Any = None

    def write(self, step: int, values: dict[str, float]) -> None:
        """A line of numbers about the steps since the last one."""
        if not self._writes:
            return
        if self._board is None:  # which makes its folder at once
            self._board = _optional("torch.utils.tensorboard", "SummaryWriter", True, self._path.parent / "board")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        line = f"step {step}: " + ", ".join(f"{name} {value:.5g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
            self._bar.write(line)
        else:
            print(line, flush=True)
        for name, value in values.items() if self._board is not None else ():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        for each in (self._bar, self._board):
            if each is not None:
                each.close()


def _optional(module: str, name: str, wanted: bool, *arguments: Any, **options: Any) -> Any:
    try:
        return getattr(import_module(module), name)(*arguments, **options) if wanted else None
    except ImportError:
        return None


def busy(device: torch.device) -> dict[str, float]:
    """Of a GPU the most memory that tensors took, and the share of the last moments in which it computed, as its driver
    says, where the package nvidia-ml-py is."""
    if device.type != "cuda":
        return {}
    taken = {"gpu_gib": torch.cuda.max_memory_allocated(device) / 2**30}
    try:
        return {**taken, "gpu_busy": torch.cuda.utilization(device) / 100}
    except Exception:  # the package is missing, or the driver refuses with an error of its own
        return taken
