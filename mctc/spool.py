"""Stored tensors of a large model in a file without a name, so that each is drawn and quantised once.

A build asks for every tensor when it writes the artifact and again in every call of the read-back. Held in memory they
are the model; drawn or read anew, each costs several times what reading its stored bytes does. The file is gone with
the process, however that ends.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.ir.op import Array
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.quantize import Quantized

SMALL = 1 << 16  # bytes that are held as they are


@dataclass(frozen=True)
class _Place:
    """Where the numbers of a tensor lie. rest: what belongs to them of a compressed one, its codes empty."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rest: Quantized | None


class Spool:
    """Holds what is put into it; `get` gives an equal tensor, which is the caller's own."""

    def __init__(self, folder: Path) -> None:
        """The file lies on the disk that `folder` is on. Raises OSError where none can be made."""
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 — open as long as this is
        self._end = 0
        self._places: dict[str, _Place | Array | Quantized] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, stored: Array | Quantized) -> None:
        """Keeps a tensor; does without where the disk is full, and `name` is not in it then."""
        numbers = stored if isinstance(stored, np.ndarray) else stored.codes
        if numbers.nbytes <= SMALL:
            self._places[name] = stored
            return
        rest = None if isinstance(stored, np.ndarray) else replace(stored, codes=np.empty(0, numbers.dtype))
        try:
            self._file.seek(self._end)
            left = np.ascontiguousarray(numbers).data.cast("B")
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            return
        self._places[name] = _Place(self._end, numbers.shape, numbers.dtype, rest)
        self._end += numbers.nbytes

    def get(self, name: str) -> Array | Quantized:
        """Raises OSError where the file can't be read."""
        place = self._places[name]
        if not isinstance(place, _Place):
            return place
        numbers: Array = np.empty(place.shape, place.dtype)
        self._file.seek(place.offset)
        left = numbers.data.cast("B")
        while left:
            read = self._file.readinto(left)
            if not read:
                raise OSError(f"the spool of stored tensors ends inside of {name}")
            left = left[read:]
        return numbers if place.rest is None else replace(place.rest, codes=numbers)
