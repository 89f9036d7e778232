"""Parameters of a module that lie in the checkpoint's file: of a large model no copy is in memory, but what is in use.

The file is mapped, so the system reads a tensor's pages when it is computed with. They are given back as soon as a
module has run and when a gradient is whole, since the layers behind it need the room; the next use reads them again.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

SMALL = 1 << 16  # bytes of a tensor that is held as it is


class MappedParameters:
    """Of one module. What is written to a mapped tensor would be lost: `own` gives it memory before."""

    def __init__(self) -> None:
        self._files: dict[Path, mmap.mmap] = {}
        self._ranges: dict[int, tuple[mmap.mmap, int, int]] = {}  # by the address of the tensor: whole pages of a file

    def take(self, parameter: Any, place: tuple[Path, int]) -> bool:
        """Puts a parameter where a file holds its float32 numbers; False where it can't lie there. Raises OSError."""
        import torch

        path, begin = place
        size = parameter.numel() * parameter.element_size()
        if size < SMALL or begin % 4 or sys.byteorder != "little" or parameter.dtype != torch.float32:
            return False
        file = self._file(path)
        parameter.data = torch.frombuffer(file, dtype=torch.float32, count=parameter.numel(), offset=begin).view_as(
            parameter
        )
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        last = (begin + size) // mmap.PAGESIZE * mmap.PAGESIZE
        self._ranges[parameter.data_ptr()] = file, first, last - first
        return True

    def own(self, parameter: Any) -> None:
        """Gives a parameter memory of its own, with the same numbers."""
        if self._ranges.pop(parameter.data_ptr(), None) is not None:
            parameter.data = parameter.data.clone()

    def give_back(self, parameter: Any) -> None:
        """The memory of a parameter that was read, where it lies in a file."""
        if (known := self._ranges.get(parameter.data_ptr())) is not None:
            file, first, length = known
            file.madvise(mmap.MADV_DONTNEED, first, length)

    def watch(self, model: Any) -> None:
        """Gives back what each module has read when it has run."""
        for module in model.modules():
            held = list(self._held(module)) if module is not model else []
            if held:
                module.register_forward_hook(partial(self._ran, held))

    def _ran(self, held: Sequence[Any], *_: Any) -> None:
        for each in held:
            self.give_back(each)

    def _held(self, module: Any) -> Iterator[Any]:
        return (each for each in module.parameters() if each.data_ptr() in self._ranges)

    def _file(self, path: Path) -> mmap.mmap:
        if path not in self._files:
            with path.open("rb") as file:
                self._files[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return self._files[path]
