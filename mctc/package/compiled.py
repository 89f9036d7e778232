"""Reads a compiled model: a .mlmodelc folder with its program as text.

A compiled pipeline has a folder for each of its members, a compiled neural network (Espresso) its layers as JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mctc.package.compiled_metadata import CompiledMetadata, read_metadata
from mctc.package.errors import NotAProgram, PackageError
from mctc.package.files import inside, read_file
from mctc.package.mil_shapes import described_shapes
from mctc.package.mil_text import parse_text
from mctc.package.model import ForeignModel, Package
from mctc.package.specification import default_function
from mctc.package.weights import Weights

_PROGRAM = "model.mil"
_TEXT_LIMIT = 1 << 27
"""Bytes of text: twenty times what the largest program known takes."""
_LAYERS = "model.espresso.net"
_OTHERS = (_LAYERS, "coremldata.bin", "metadata.json")
"""Files of compiled models that have no program."""
_MEMBER = re.compile(r"model(\d+)")
"""The folder of a pipeline's member."""
_SPEC_VERSIONS = {"CoreML5": 6, "CoreML6": 7, "CoreML7": 8, "CoreML8": 9, "CoreML9": 10}
"""The version of the specification that brought each opset."""


def is_compiled(folder: Path) -> bool:
    """Whether a folder is a compiled model, by its name or by what lies in it."""
    return folder.suffix.lower() == ".mlmodelc" or os.path.lexists(folder / _PROGRAM)


def read_compiled(folder: Path, *, absent_weights: bool = False) -> Package:
    """The program of a .mlmodelc folder, described as far as its metadata.json tells. Raises PackageError."""
    model = _model(folder, absent_weights)
    if isinstance(model, ForeignModel):
        raise NotAProgram(model)
    return model


def _model(folder: Path, absent_weights: bool) -> Package | ForeignModel:
    metadata = read_metadata(folder)
    file = folder / _PROGRAM
    if not os.path.lexists(file):
        return _foreign(folder, metadata, absent_weights)
    try:
        text = read_file(inside(folder, file), _TEXT_LIMIT).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackageError(f"{file}: not a text ({error})") from error
    weights = Weights(folder, folder, may_be_absent=absent_weights)
    functions = parse_text(text, file, weights)
    default = default_function(
        folder, functions, metadata.default_function if metadata.default_function in functions else ""
    )
    return Package(
        path=folder,
        spec_version=metadata.spec_version or _SPEC_VERSIONS.get(functions[default].opset, 0),
        metadata=metadata.metadata,
        functions=functions,
        default_function=default,
        descriptions={**described_shapes(text, functions), **metadata.descriptions(default)},
        container="mlmodelc",
        absent=weights.absent,
    )


def _foreign(folder: Path, metadata: CompiledMetadata, absent_weights: bool) -> ForeignModel:
    """What can be told of a folder without a program. Raises PackageError where it is no compiled model."""
    members = tuple(_members(folder, absent_weights))
    if not members and not any(os.path.lexists(folder / name) for name in _OTHERS):
        raise PackageError(
            f"{folder}: no {_PROGRAM} here, so this isn't a compiled ML program",
            hint="a compiled model is a folder that holds model.mil, model.espresso.net or coremldata.bin",
        )
    network = os.path.lexists(folder / _LAYERS)
    described = metadata.description
    return ForeignModel(
        path=folder,
        spec_version=metadata.spec_version,
        kind=metadata.kind or ("neuralNetwork" if network else "pipeline" if members else "compiled model"),
        layers=tuple(_layers(folder)) if network else (),
        inputs=described.inputs,
        outputs=described.outputs,
        members=members,
        container="mlmodelc",
    )


def _members(folder: Path, absent_weights: bool) -> Iterator[Package | ForeignModel]:
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _MEMBER.fullmatch(path.name))]
    for _, path in sorted(found):
        if path.is_dir():
            inside(folder, path)
            yield replace(_model(path, absent_weights), path=folder, member=path.name)


def _layers(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and types of an Espresso network's layers; none where its JSON isn't as it should be."""
    try:
        content = json.loads(read_file(inside(folder, folder / _LAYERS), _TEXT_LIMIT))
    except (PackageError, ValueError, RecursionError):
        return
    layers = content.get("layers") if isinstance(content, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            yield str(layer.get("name", "")), str(layer.get("type", "unknown"))
