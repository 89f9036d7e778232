"""Reads a specification: the protobuf message that a .mlpackage holds and a .mlmodel is.

A pipeline holds specifications in its own; they are read as the models that they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mctc.package.errors import NotAProgram, PackageError
from mctc.package.features import descriptions, features
from mctc.package.files import opened
from mctc.package.functions import FunctionReader, Limits
from mctc.package.model import ForeignModel, Function, Metadata, Package
from mctc.package.network_reader import read_network
from mctc.package.placeholders import HEAD, other_content
from mctc.package.protobuf import model_class
from mctc.package.thinned import thinned
from mctc.package.values import Constants
from mctc.package.weights import Weights


def read_specification(path: Path, file: Path, weights: Weights, container: str) -> Package:
    """The program in `file`, with `path` as the name that messages use. Raises PackageError."""
    message = model_class()()
    with opened(file) as (read, size):
        try:
            message.ParseFromString(thinned(read, size, message.DESCRIPTOR))
        except PackageError:
            raise
        except Exception as error:  # protobuf's DecodeError; other backends raise their own
            other = other_content(read(0, min(HEAD, size)))
            raise PackageError(
                f"{file}: not a Core ML specification ({other.what if other else error})",
                hint=other.hint if other else "it is cut short or damaged: copy or download it again",
            ) from error
    model = _model(path, message, weights, container)
    if isinstance(model, ForeignModel):
        raise NotAProgram(model)
    return model


def _model(path: Path, model: Any, weights: Weights, container: str, member: str = "") -> Package | ForeignModel:
    if model.WhichOneof("Type") != "mlProgram":
        return foreign_model(path, model, weights, container, member)
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
        member=member,
        absent=weights.absent,
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


def foreign_model(path: Path, model: Any, weights: Weights, container: str, member: str = "") -> ForeignModel:
    """What is read of a Model message (thinned) that is no ML program."""
    kind = model.WhichOneof("Type")
    content = getattr(model, kind) if kind else None
    pipeline = getattr(content, "pipeline", content)  # a classifier's or regressor's wraps it once more
    layers = getattr(content, "layers", ()) if kind and kind.startswith("neuralNetwork") else ()
    inside = pipeline if kind and kind.startswith("pipeline") else None
    return ForeignModel(
        path=path,
        spec_version=model.specificationVersion,
        kind=kind or "nothing",
        layers=tuple((layer.name, layer.WhichOneof("layer") or "unknown") for layer in layers),
        inputs=features(model.description.input),
        outputs=features(model.description.output),
        members=() if inside is None else tuple(_members(path, inside, weights, container)),
        member=member,
        network=read_network(model),
        metadata=_metadata(model.description.metadata),
        container=container,
    )


def _members(path: Path, pipeline: Any, weights: Weights, container: str) -> Iterator[Package | ForeignModel]:
    """The models of a pipeline, each under the name that the pipeline gives it."""
    names = list(pipeline.names)
    for place, model in enumerate(pipeline.models):
        name = names[place] if place < len(names) else f"model{place}"
        yield _model(path, model, weights, container, name)
