"""The weight files of one model: found by the name the program gives, inside its folder, each opened once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mctc.package.blob import BlobFile, BlobTensor
from mctc.package.errors import PackageError
from mctc.package.files import inside
from mctc.package.place import Place
from mctc.package.types import TensorType, ValueType

_MODEL_PREFIX = "@model_path/"


class Weights:
    """`folder` is what "@model_path/" stands for; no file outside `limit` is opened.

    With `below`, only files in the subfolder of that name are: what else lies beside a bare file isn't the model's.
    """

    def __init__(self, folder: Path, limit: Path, below: str | None = None) -> None:
        self._folder = folder
        self._limit = limit
        self._below = below
        self._files: dict[str, BlobFile] = {}

    def tensor(self, name: str, offset: int, type_: ValueType, where: Place) -> BlobTensor:
        """The tensor of a file at an offset, not read yet. Raises PackageError when it can't be the declared type."""
        if not isinstance(type_, TensorType):
            raise PackageError(f"{where}: a {type_} can't be in a weight file")
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = self._open(name, where)
        return file.entry(offset, type_)

    def _open(self, name: str, where: Place) -> BlobFile:
        relative = PurePosixPath(name.removeprefix(_MODEL_PREFIX))
        if not name.startswith(_MODEL_PREFIX) or ".." in relative.parts or relative.is_absolute() or "\0" in name:
            raise PackageError(f"{where}: the weight file {name!r} isn't inside the package")
        if self._below is not None and relative.parts[:1] != (self._below,):
            raise PackageError(
                f"{where}: the weight file {name!r} isn't in the folder '{self._below}' beside the model"
            )
        return BlobFile(inside(self._limit, self._folder / relative))
