"""Files of constants: the array of a .npy file, or one of a safetensors file."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import DataFile
from mctc.ir.op import Array
from mctc.language import syntax as s
from mctc.language.limits import DATA_BYTES, DATA_ENTRIES
from mctc.language.walk import walk
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.language.modules import Module

NPY, SAFETENSORS = ".npy", ".safetensors"
KINDS = (NPY, SAFETENSORS)
MAGIC = b"\x93NUMPY"
HEADERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}  # of numpy.lib.format


@dataclass
class DataError(Exception):
    """A file that gives no constant: a diagnostic without a place."""

    code: str
    message: str
    hint: str | None = None


class DataFiles:
    """Files of constants, each read once, in the order in which they are met.

    library: of mctc; root: the folder that a spec's files may not leave; spec: where the spec lies; common: the folder
    below which artifacts name the author's files.
    """

    def __init__(self, library: Path) -> None:
        self.library = self.root = self.spec = self.common = library
        self.read: dict[Path, DataFile] = {}

    def folders(self, module: Module) -> Iterator[Path]:
        """The folders of the files of constants that a module's text names."""
        for node in (node for statement in module.file.statements for node in walk(statement)):
            if isinstance(node, s.String) and node.value.lower().endswith(KINDS):
                found = self._at(module.reached.parent, node.value)
                if found is not None:
                    yield found[1].parent

    def array(self, written: str, tensor: str | None, module: Module) -> Array:
        """What a file holds that a call in `module` names: beside that, beside the spec, or in mctc's library.

        Finite entries, as float32, int32 or bool. Raises DataError.
        """
        for folder in (module.reached.parent, self.spec, self.library):
            if (found := self._at(folder, written)) is not None:
                path, reached = found
                if path not in self.read:
                    self.read[path] = self._read(path, reached, written)
                return array_of(self.read[path], path, tensor)
        if not self._inside(Path(os.path.normpath(module.reached.parent / written))):
            message = f'"{written}" lies outside of the project ({self.root.name}) and of the library'
            raise DataError("MCT0061", message, "copy the file into the project")
        link = module.reached.parent / written
        if link.is_symlink():
            raise DataError(
                "MCT0061", f'"{written}" is a link to nothing in the project', "copy the file into the project"
            )
        near = [path.name for path in sorted(module.reached.parent.glob("*")) if path.suffix.lower() in KINDS]
        raise DataError(
            "MCT0061", f'there is no file "{written}" beside {module.source.name}', did_you_mean(written, near)
        )

    def _at(self, folder: Path, written: str) -> tuple[Path, Path] | None:
        """The file in a folder, and the way there without links followed; None where the project has none."""
        try:
            path, reached = (folder / written).resolve(), Path(os.path.normpath(folder / written))
            return (path, reached) if self._inside(path) and path.exists() else None
        except (OSError, ValueError, RuntimeError):
            return None

    def _inside(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in (self.root, self.library))

    def _read(self, path: Path, reached: Path, written: str) -> DataFile:
        if path.is_relative_to(self.library):
            return read_data(path, written, f"mctc.spec/{path.relative_to(self.library).as_posix()}", shipped=True)
        if not reached.is_relative_to(self.common):
            message = f'"{written}" lies above the folder of the spec'
            raise DataError("MCT0061", message, "write its name as one string, so that a build knows what to copy")
        return read_data(path, written, reached.relative_to(self.common).as_posix())


def read_data(path: Path, name: str, identity: str, *, shipped: bool = False) -> DataFile:
    """A regular file of at most DATA_BYTES. Raises DataError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError("MCT0061", f'"{name}" is no regular file')
        with path.open("rb") as file:
            data = file.read(DATA_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
        raise DataError("MCT0061", f'cannot read "{name}": {reason}') from None
    if len(data) > DATA_BYTES:
        hint = "trained numbers are parameters: `param`, and a checkpoint of `mctc build --weights`"
        raise DataError("MCT0061", f'"{name}" is larger than {DATA_BYTES:,} bytes', hint)
    return DataFile(name, data, identity, shipped)


def array_of(file: DataFile, path: Path, tensor: str | None) -> Array:
    """The array that a file holds, `tensor` of a safetensors file. Finite; float32, int32 or bool. Raises DataError."""
    kind = path.suffix.lower()
    if kind == NPY:
        if tensor is not None:
            raise DataError("MCT0061", f'"{file.name}" holds one array, none called "{tensor}"', "leave `tensor` out")
        found = _npy(file)
    elif kind == SAFETENSORS:
        found = _tensor(file, path, tensor)
    else:
        raise DataError("MCT0061", f'"{file.name}" is of no kind that is read here', f"read are {' and '.join(KINDS)}")
    return _numbers(found, file.name if tensor is None else f"{tensor} of {file.name}")


def _npy(file: DataFile) -> Array:
    """Format: numpy.lib.format's own description. No pickles, and nothing larger than the file is allocated."""
    stream = io.BytesIO(file.data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, by_columns, dtype = getattr(np.lib.format, HEADERS[version])(stream)
        if dtype.hasobject or dtype.names is not None or dtype.kind not in "fiub":
            raise DataError("MCT0062", f'"{file.name}" holds entries of type {dtype}', "numbers alone are read")
        count = prod(shape)
        if dtype.itemsize * count != len(file.data) - stream.tell():
            raise ValueError("it has another length than its header says")
        flat = np.frombuffer(file.data, dtype, count, stream.tell())
    except (ValueError, KeyError, SyntaxError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        why = "its version is unknown" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise DataError("MCT0061", f'"{file.name}" is no .npy file: {why}') from None
    array: Array = flat.reshape(shape, order="F" if by_columns else "C")
    return array


def _tensor(file: DataFile, path: Path, tensor: str | None) -> Array:
    try:
        opened = SafeTensors(path)
        if tensor is None:
            raise DataError("MCT0061", f'which tensor of "{file.name}"?', _held(opened))
        if tensor not in opened.shapes:
            hint = did_you_mean(tensor, opened.shapes) or _held(opened)
            raise DataError("MCT0061", f'"{file.name}" has no tensor "{tensor}"', hint)
        return opened.stored(tensor)
    except WeightsError as error:
        raise DataError("MCT0061", error.message.replace(str(path), f'"{file.name}"'), error.hint) from None
    except OSError as error:
        raise DataError("MCT0061", f'cannot read "{file.name}": {error}') from None


def _held(opened: SafeTensors, most: int = 5) -> str:
    names = sorted(opened.shapes)
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return f'name one, `tensor = "..."`: {", ".join(names[:most])}{more}' if names else "it holds none"


def _numbers(found: Array, name: str) -> Array:
    """Entries as ops take them. Raises DataError for some that are not finite, or beyond f32 or i32."""
    if not 0 < found.size <= DATA_ENTRIES:
        hint = "trained numbers are parameters: `param`, and a checkpoint of `mctc build --weights`"
        raise DataError("MCT0062", f"{name} has {found.size:,} entries; a constant has 1 to {DATA_ENTRIES:,}", hint)
    if found.dtype.kind == "b":
        return found.astype(bool)
    if found.dtype.kind == "f":
        with np.errstate(over="ignore"):
            single = found.astype(np.float32)
        if wrong := int(found.size - np.isfinite(single).sum()):
            place = [int(index) for index in np.argwhere(~np.isfinite(single))[0]]
            message = f"{name} has {wrong:,} entries that are no finite f32, the first at {place}"
            raise DataError("MCT0063", message, "a constant is finite: a mask is a number such as -1e4")
        return single
    limits = np.iinfo(np.int32)
    if found.min() < limits.min or found.max() > limits.max:
        raise DataError("MCT0063", f"{name} has whole numbers beyond those of i32")
    return found.astype(np.int32)
