"""Reads a compiled model: a .mlmodelc folder with its program as text."""

from __future__ import annotations

import os
from pathlib import Path

from mctc.package.compiled_metadata import CompiledMetadata, read_metadata
from mctc.package.errors import NotAProgram, PackageError
from mctc.package.files import inside, read_file
from mctc.package.mil_text import parse_text
from mctc.package.model import ForeignModel, Package
from mctc.package.specification import default_function
from mctc.package.weights import Weights

_PROGRAM = "model.mil"
_TEXT_LIMIT = 1 << 27
"""Bytes of text: twenty times what the largest program known takes."""
_OTHERS = ("model.espresso.net", "coremldata.bin", "metadata.json")
"""Files of compiled models that have no program."""
_SPEC_VERSIONS = {"CoreML5": 6, "CoreML6": 7, "CoreML7": 8, "CoreML8": 9, "CoreML9": 10}
"""The version of the specification that brought each opset."""


def is_compiled(folder: Path) -> bool:
    """Whether a folder is a compiled model, by its name or by what lies in it."""
    return folder.suffix.lower() == ".mlmodelc" or os.path.lexists(folder / _PROGRAM)


def read_compiled(folder: Path) -> Package:
    """The program of a .mlmodelc folder, described as far as its metadata.json tells. Raises PackageError."""
    metadata = read_metadata(folder)
    file = folder / _PROGRAM
    if not os.path.lexists(file):
        _refuse(folder, metadata)
    try:
        text = read_file(inside(folder, file), _TEXT_LIMIT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackageError(f"{file}: not a text ({error})") from error
    functions = parse_text(text, file, Weights(folder, folder))
    default = default_function(
        folder, functions, metadata.default_function if metadata.default_function in functions else ""
    )
    return Package(
        path=folder,
        spec_version=metadata.spec_version or _SPEC_VERSIONS.get(functions[default].opset, 0),
        metadata=metadata.metadata,
        functions=functions,
        default_function=default,
        descriptions=metadata.descriptions(default),
        container="mlmodelc",
    )


def _refuse(folder: Path, metadata: CompiledMetadata) -> None:
    """Raises what is to be told of a folder without a program."""
    if not any(os.path.lexists(folder / name) for name in _OTHERS):
        raise PackageError(f"{folder}: no {_PROGRAM} here, so this isn't a compiled ML program")
    described = metadata.description
    raise NotAProgram(
        ForeignModel(
            path=folder,
            spec_version=metadata.spec_version,
            kind=metadata.kind or ("neuralNetwork" if os.path.lexists(folder / _OTHERS[0]) else "compiled model"),
            inputs=described.inputs,
            outputs=described.outputs,
        )
    )
