"""Reads a specification: the protobuf message that a .mlpackage holds and a .mlmodel is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mctc.package.errors import NotAProgram, PackageError
from mctc.package.features import descriptions, features
from mctc.package.files import read_file
from mctc.package.functions import FunctionReader, Limits
from mctc.package.model import ForeignModel, Function, Metadata, Package
from mctc.package.protobuf import model_class
from mctc.package.values import Constants
from mctc.package.weights import Weights


def read_specification(path: Path, file: Path, weights: Weights, container: str) -> Package:
    """The program in `file`, with `path` as the name that messages use. Raises PackageError."""
    model = model_class()()
    try:
        model.ParseFromString(read_file(file))
    except PackageError:
        raise
    except Exception as error:  # protobuf's DecodeError; other backends raise their own
        raise PackageError(f"{file}: not a Core ML specification ({error})") from error
    if model.WhichOneof("Type") != "mlProgram":
        raise NotAProgram(_foreign(path, model))
    constants, limits = Constants(weights), Limits()
    functions = {
        name: FunctionReader(name, constants, limits).function(message)
        for name, message in sorted(model.mlProgram.functions.items())
    }
    default = default_function(path, functions, model.description.defaultFunctionName)
    return Package(
        path=path,
        spec_version=model.specificationVersion,
        metadata=_metadata(model.description.metadata),
        functions=functions,
        default_function=default,
        descriptions=descriptions(model.description, default),
        container=container,
    )


def default_function(path: Path, functions: dict[str, Function], named: str) -> str:
    """The function that runs when an app names none. Raises PackageError when it isn't there."""
    if not functions:
        raise PackageError(f"{path}: the program has no functions")
    default = named or ("main" if "main" in functions else next(iter(functions)))
    if default not in functions:
        raise PackageError(f"{path}: the default function {default!r} isn't in the program")
    return default


def _metadata(message: Any) -> Metadata:
    user = dict(sorted(message.userDefined.items()))
    return Metadata(message.shortDescription, message.versionString, message.author, message.license, user)


def _foreign(path: Path, model: Any) -> ForeignModel:
    kind = model.WhichOneof("Type")
    content = getattr(model, kind) if kind else None
    pipeline = getattr(content, "pipeline", content)  # a classifier's or regressor's wraps it once more
    layers = getattr(content, "layers", ()) if kind and kind.startswith("neuralNetwork") else ()
    members = getattr(pipeline, "models", ()) if kind and kind.startswith("pipeline") else ()
    return ForeignModel(
        path=path,
        spec_version=model.specificationVersion,
        kind=kind or "nothing",
        layers=tuple((layer.name, layer.WhichOneof("layer") or "unknown") for layer in layers),
        inputs=features(model.description.input),
        outputs=features(model.description.output),
        members=tuple(member.WhichOneof("Type") or "nothing" for member in members),
    )
