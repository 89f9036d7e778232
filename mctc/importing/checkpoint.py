"""A checkpoint of one or several safetensors files, or an ONNX model, read a tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.importing.onnx_file import SUFFIX, OnnxFile
from mctc.ir.op import Array

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"  # what libraries call them in a model's folder


class Checkpoint:
    """`shapes` of all tensors by name, and `read` for one of them in float32.

    The path is a safetensors file, the index of one in several files, the folder that holds either, or an ONNX model.
    Raises WeightsError for what is none of these.
    """

    def __init__(self, path: Path) -> None:
        self.path = _file(path)
        self._files = _files(self.path)
        self._places = {name: file for file in self._files.values() for name in file.shapes}
        self.shapes = {name: file.shapes[name] for name, file in self._places.items()}

    def read(self, name: str) -> Array:
        return self._places[name].read(name)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in (WHOLE, INDEX):
        if (path / name).is_file():
            return path / name
    raise WeightsError(f"{path} holds neither {WHOLE} nor {INDEX}", hint="name the checkpoint's file itself")


def _files(path: Path) -> Mapping[Path, SafeTensors | OnnxFile]:
    if path.suffix == SUFFIX:
        return {path: OnnxFile(path)}
    return _shards(path) if path.suffix == ".json" else {path: SafeTensors(path)}


def _shards(index: Path) -> dict[Path, SafeTensors]:
    """The files that an index names, which lie beside it."""
    try:
        places: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {name: Path(file) for name, file in places.items()}
    except OSError as error:
        raise WeightsError(f"cannot read {index}: {error.strerror}") from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is no index of a checkpoint: {error}") from error
    strangers = [str(file) for file in names.values() if file.name != str(file)]
    if strangers:
        raise WeightsError(f"{index} names a file outside of its folder: {strangers[0]}")
    files = {index.parent / file: SafeTensors(index.parent / file) for file in sorted(set(names.values()))}
    for name, file in names.items():
        if name not in files[index.parent / file].shapes:
            raise WeightsError(f"{index} says that {name} is in {file}, which lacks it")
    return files
