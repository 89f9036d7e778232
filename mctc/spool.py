"""Stored tensors of a large model in a file without a name, so that each is drawn and quantised once.

A build asks for every tensor when it writes the artifact and again in the read-back. Held in memory they are the model;
drawn or read anew, each costs several times what reading its stored bytes does. What lies in an artifact as it is in
memory is left there. The file is gone with the process, however that ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mctc.fingerprint import fingerprint
from mctc.ir.op import Array
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.quantize import Quantized

SMALL = 1 << 16  # bytes that are held as they are
BLOCK = 1 << 18  # bytes that are copied at a time


@dataclass(frozen=True)
class Lies:
    """Where numbers lie in a file of somebody else: `size` bytes from `offset`, which are the numbers as they are in
    memory, or `unpack` makes those of them."""

    path: Path
    offset: int
    size: int
    unpack: Callable[[bytes], Array] | None = None


@dataclass(frozen=True)
class _Place:
    """Where the numbers of a tensor lie. rest: what belongs to them of a compressed one, its codes empty.

    lies: in a file of somebody else; fingerprint: of the numbers that were put there.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rest: Quantized | None
    lies: Lies | None = None
    fingerprint: bytes | None = None


class Spool:
    """Holds what is put into it; `get` gives an equal tensor, which is the caller's own."""

    def __init__(self, folder: Path) -> None:
        """The file lies on the disk that `folder` is on. Raises OSError where none can be made."""
        self._file = TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 — open as long as this is
        self._end = 0
        self._others: dict[Path, RawIOBase] = {}
        self._places: dict[str, _Place | Array | Quantized] = {}
        self._coming: dict[str, tuple[_Place, int]] = {}  # what isn't there whole, and how many of its numbers are

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def put(self, name: str, stored: Array | Quantized, lies: Lies | None = None) -> None:
        """Keeps a tensor; does without where the disk is full, and `name` is not in it then.

        lies: where the same numbers lie already. They are left there, as long as that is what is found.
        """
        numbers, rest = _parts(stored)
        if numbers.nbytes <= SMALL:
            self._places[name] = stored
            return
        if lies is not None:
            self._places[name] = _Place(0, numbers.shape, numbers.dtype, rest, lies, fingerprint(numbers))
            return
        if self._write(self._end, numbers):
            self._places[name] = _Place(self._end, numbers.shape, numbers.dtype, rest)
            self._end += numbers.nbytes

    def put_next(self, name: str, part: Array, shape: tuple[int, ...]) -> None:
        """Keeps a tensor of `shape` of which the next rows come, the first ones first. It is there with the last; does
        without it where the disk is full."""
        if name not in self._coming:
            self._coming[name] = _Place(self._end, shape, part.dtype, None), 0
            self._end += math.prod(shape) * part.itemsize
        place, count = self._coming[name]
        if self._write(place.offset + count * part.itemsize, part):  # one that lacks a part never becomes whole
            count += part.size
            self._coming[name] = place, count
        if count == math.prod(shape):
            self._places[name] = place

    def _write(self, offset: int, numbers: Array) -> bool:
        """Writes numbers into the own file. Whether it takes them."""
        try:
            self._file.seek(offset)
            left = np.ascontiguousarray(numbers).data.cast("B")
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            return False
        return True

    def copy(self, name: str, file: BinaryIO, count: int) -> bool:
        """Writes the first numbers of what lies in the own file as it is to another one. Whether it does lie there."""
        place = self._places.get(name)
        if not isinstance(place, _Place) or place.lies is not None or place.rest is not None:
            return False
        self._file.seek(place.offset)
        left, room = count * place.dtype.itemsize, memoryview(bytearray(BLOCK))
        while left:
            read = self._file.readinto(room[:left])
            if not read:
                raise OSError(f"the spool of stored tensors ends inside of {name}")
            file.write(room[:read])
            left -= read
        return True

    def fingerprints(self, name: str) -> tuple[bytes, ...] | None:
        """Of each array that a tensor is stored as, where its numbers lie in another file; None of others."""
        place = self._places.get(name)
        if not isinstance(place, _Place) or place.fingerprint is None:
            return None
        return place.fingerprint, *(() if place.rest is None else map(fingerprint, place.rest.parts[1:]))

    def get(self, name: str, *, maps: bool = False) -> Array | Quantized | None:
        """A tensor; None for one that isn't there, or not any more. Raises OSError where the own file can't be read.

        maps: for who looks at little of it; what lies in the own file as it is may be read there when it is looked at.
        """
        place = self._places.get(name)
        if not isinstance(place, _Place):
            return place
        if maps and place.lies is None and place.rest is None:
            return np.memmap(self._file, place.dtype, "r", place.offset, place.shape)
        numbers: Array = np.empty(place.shape, place.dtype)
        if place.lies is None:
            if not _read(self._file, place.offset, numbers):
                raise OSError(f"the spool of stored tensors ends inside of {name}")
        elif not self._found(place.lies, numbers, place.fingerprint):
            del self._places[name]
            return None
        return numbers if place.rest is None else replace(place.rest, codes=numbers)

    def _found(self, lies: Lies, numbers: Array, known: bytes | None) -> bool:
        """Whether another file holds what was put there, into `numbers`."""
        try:
            if lies.path not in self._others:
                self._others[lies.path] = lies.path.open("rb", buffering=0)
            data = numbers if lies.unpack is None else np.empty(lies.size, np.uint8)
            if not _read(self._others[lies.path], lies.offset, data):
                return False
        except OSError:
            return False
        if lies.unpack is not None:
            numbers[...] = lies.unpack(data.tobytes()).reshape(numbers.shape)
        return fingerprint(numbers) == known


def _parts(stored: Array | Quantized) -> tuple[Array, Quantized | None]:
    """The numbers of a tensor, and what belongs to them of a compressed one."""
    if isinstance(stored, np.ndarray):
        return stored, None
    return stored.codes, replace(stored, codes=np.empty(0, stored.codes.dtype))


def _read(file: RawIOBase, offset: int, numbers: Array) -> bool:
    """Fills an array with the bytes of a file. Whether it has so many."""
    file.seek(offset)
    left = numbers.data.cast("B")
    while left:
        read = file.readinto(left)
        if not read:
            return False
        left = left[read:]
    return True
