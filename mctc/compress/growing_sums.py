"""Sums by name, of which one is in memory at a time: those of a large model are several times its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, Protocol

import numpy as np

from mctc.compress.errors import CompressError
from mctc.compress.exact_sum import ExactSum
from mctc.ir.op import Array

SMALL = 1 << 13  # entries of a sum that is held as it is
PART = 1 << 20  # entries that are read, changed and written together
ENTRY = 8  # bytes


class Grid(NamedTuple):
    """What is known of a sum that is not in memory."""

    shape: tuple[int, ...]
    exponent: int


class Sums(Protocol):
    """Read as a mapping; `grids` tells of all without reading one."""

    @property
    def grids(self) -> Mapping[str, Grid]: ...

    def __getitem__(self, key: str) -> ExactSum: ...


class GrowingSums(Mapping[str, ExactSum]):
    """Sums that terms are added to, in a file without a name, gone with the process. What `[key]` gives is a copy."""

    def __init__(self, folder: Path) -> None:
        """The file lies on the disk that `folder` is on. Raises OSError where none can be made."""
        self._folder = folder
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 — open as long as this is
        self._held: dict[str, Array] = {}
        self._begins: dict[str, int] = {}
        self._end = 0
        self.grids: dict[str, Grid] = {}

    @classmethod
    def of(cls, folder: Path, sums: Mapping[str, ExactSum]) -> GrowingSums:
        """With these to begin with."""
        made = cls(folder)
        for key, each in sums.items():
            made.begin(key, each)
            made.merge(key, each)
        return made

    def begin(self, key: str, like: ExactSum) -> None:
        """An empty sum on the grid of another."""
        grid = self.grids[key] = Grid(like.steps.shape, like.exponent)
        if math.prod(grid.shape) <= SMALL:
            self._held[key] = np.zeros(grid.shape, np.int64)
            return
        self._begins[key] = self._end
        self._end += ENTRY * math.prod(grid.shape)
        self._file.truncate(self._end)  # reads as zeros

    def add(self, key: str, term: Array) -> None:
        """Raises CompressError as ExactSum.add does, and for a full disk; the sums are then good for nothing."""
        self._check(key, term.shape)
        flat = term.reshape(-1)
        self._change(key, lambda part, at: part.add(flat[at]))

    def merge(self, key: str, other: ExactSum) -> None:
        """Raises CompressError as ExactSum.merge does, and for a full disk."""
        self._check(key, other.steps.shape)
        flat = other.steps.reshape(-1)
        self._change(key, lambda part, at: part.merge(ExactSum(flat[at], other.exponent)))

    def __getitem__(self, key: str) -> ExactSum:
        shape, exponent = self.grids[key]
        if key in self._held:
            return ExactSum(self._held[key].copy(), exponent)
        return ExactSum(self._read(self._begins[key], math.prod(shape)).reshape(shape), exponent)

    def __iter__(self) -> Iterator[str]:
        return iter(self.grids)

    def __len__(self) -> int:
        return len(self.grids)

    def _check(self, key: str, shape: tuple[int, ...]) -> None:
        if shape != self.grids[key].shape:
            raise CompressError("the sums are of other first utterances, or of another model")

    def _change(self, key: str, change: Callable[[ExactSum, slice], None]) -> None:
        shape, exponent = self.grids[key]
        if key in self._held:
            change(ExactSum(self._held[key].reshape(-1), exponent), slice(None))
            return
        size = math.prod(shape)
        for at in range(0, size, PART):
            here = slice(at, min(at + PART, size))
            place = self._begins[key] + ENTRY * at
            steps = self._read(place, here.stop - at)
            change(ExactSum(steps, exponent), here)
            self._write(place, steps)

    def _read(self, place: int, count: int) -> Array:
        steps: Array = np.empty(count, np.int64)
        self._file.seek(place)
        left = steps.data.cast("B")
        while left:
            read = self._file.readinto(left)
            if not read:
                raise CompressError("the file of the sums has become shorter")
            left = left[read:]
        return steps

    def _write(self, place: int, steps: Array) -> None:
        left = steps.data.cast("B")
        try:
            self._file.seek(place)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            size = f"{self._end / 1e6:,.0f} MB"
            raise CompressError(f"the sums take {size} on the disk of {self._folder}: {error.strerror}") from error
