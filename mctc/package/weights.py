"""The weight files of one model: found by the name the program gives, inside its folder, each opened once.

Of a file that is not there, shapes and sizes are known all the same: the program states them.
"""

from __future__ import annotations

from math import prod
from pathlib import Path, PurePosixPath
from typing import NoReturn

from mctc.package.blob import BlobFile, BlobTensor
from mctc.package.dtypes import DTYPES
from mctc.package.errors import AbsentFile, PackageError
from mctc.package.files import inside
from mctc.package.place import Place
from mctc.package.types import TensorType, ValueType
from mctc.records import dataclass

_MODEL_PREFIX = "@model_path/"


@dataclass(frozen=True, eq=False)
class AbsentTensor:
    """A tensor of a weight file that isn't there. `start` is where the program says that its record is."""

    file: AbsentFile
    type: TensorType
    start: int

    @property
    def stored_bytes(self) -> int:
        """Bytes that the tensor would take."""
        extents = self.type.shape
        if self.type.dtype not in DTYPES or extents is None:
            return 0
        return -(-prod(max(0, extent or 0) for extent in extents) * DTYPES[self.type.dtype].bits // 8)

    def load(self) -> NoReturn:
        """Raises AbsentFile."""
        raise self.file


class Weights:
    """`folder` is what "@model_path/" stands for; no file outside `limit` is opened.

    With `below`, only files in the subfolder of that name are: what else lies beside a bare file isn't the model's.
    With `may_be_absent`, a file that isn't there is noted in `absent`, and its tensors raise AbsentFile when asked for.
    """

    def __init__(self, folder: Path, limit: Path, below: str | None = None, *, may_be_absent: bool = False) -> None:
        self._folder = folder
        self._limit = limit
        self._below = below
        self._may_be_absent = may_be_absent
        self._files: dict[str, BlobFile | AbsentFile] = {}

    @property
    def absent(self) -> tuple[AbsentFile, ...]:
        """The files that were asked for and aren't there."""
        return tuple(file for file in self._files.values() if isinstance(file, AbsentFile))

    def tensor(self, name: str, offset: int, type_: ValueType, where: Place) -> BlobTensor | AbsentTensor:
        """The tensor of a file at an offset, not read yet. Raises PackageError when it can't be the declared type."""
        if not isinstance(type_, TensorType):
            raise PackageError(f"{where}: a {type_} can't be in a weight file")
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._open(name, where)
        return AbsentTensor(file, type_, offset) if isinstance(file, AbsentFile) else file.entry(offset, type_)

    def _open(self, name: str, where: Place) -> BlobFile | AbsentFile:
        relative = PurePosixPath(name.removeprefix(_MODEL_PREFIX))
        if not name.startswith(_MODEL_PREFIX) or ".." in relative.parts or relative.is_absolute() or "\0" in name:
            raise PackageError(f"{where}: the weight file {name!r} isn't inside the package")
        if self._below is not None and relative.parts[:1] != (self._below,):
            raise PackageError(
                f"{where}: the weight file {name!r} isn't in the folder '{self._below}' beside the model"
            )
        try:
            return BlobFile(inside(self._limit, self._folder / relative), self._folder / relative)
        except AbsentFile as error:
            named = AbsentFile(self._folder / relative, error.found)  # as the program names it, no link resolved
            if self._may_be_absent:
                return named
            raise named from error
