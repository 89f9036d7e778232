"""A file with another head, as a file."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

from mctc.audio.container.correction import Correction

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class View(io.RawIOBase):
    """`file`, of `size` bytes, with the head of a correction in the place of its own. Can be read and sought."""

    def __init__(self, file: IO[bytes], size: int, correction: Correction) -> None:
        super().__init__()
        self._file, self._head = file, correction.head
        self._moved = len(correction.head) - correction.replaces  # a byte of the file lies so much further behind
        self._size, self._at = size + self._moved, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The place of the next byte, which may lie behind the end. Raises ValueError for one before the start."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise ValueError(f"byte {at} of a file")
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fills a buffer as far as there are bytes; how many."""
        wanted = memoryview(buffer).cast("B")
        count = min(len(wanted), max(0, self._size - self._at))
        data = self._head[self._at : self._at + count]
        if len(data) < count:
            self._file.seek(self._at + len(data) - self._moved)
            data += self._file.read(count - len(data))
        wanted[: len(data)] = data
        self._at += len(data)
        return len(data)
