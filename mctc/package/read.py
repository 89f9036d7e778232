"""Reads a .mlpackage that holds an ML program."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mctc.package.errors import PackageError
from mctc.package.manifest import find_model, read_file
from mctc.package.model import (
    Binding,
    Block,
    Constant,
    Description,
    Feature,
    Function,
    Metadata,
    Operation,
    Package,
    Reference,
)
from mctc.package.protobuf import array_dtypes, model_class
from mctc.package.types import NamedType, StateType, TensorType
from mctc.package.values import Constants, value_type


def read_package(path: str | os.PathLike[str]) -> Package:
    """Reads a package from disk; weights stay there until a constant is asked for.

    Raises PackageError when the folder isn't a package, is damaged, or holds something else than an ML program.
    """
    package = Path(path)
    model_path = find_model(package)
    model = model_class()()
    content = read_file(model_path)
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError; other backends raise their own
        raise PackageError(f"{model_path}: not a Core ML specification ({error})") from error
    kind = model.WhichOneof("Type")
    if kind != "mlProgram":
        raise PackageError(
            f"{package}: the model is a {kind or 'nothing'}, only ML programs are read",
            hint="convert it with convert_to='mlprogram'",
        )
    constants = Constants(package, model_path)
    functions = {
        name: _Reader(name, constants).function(message) for name, message in sorted(model.mlProgram.functions.items())
    }
    if not functions:
        raise PackageError(f"{package}: the program has no functions")
    default = model.description.defaultFunctionName or ("main" if "main" in functions else next(iter(functions)))
    if default not in functions:
        raise PackageError(f"{package}: the default function {default!r} isn't in the program")
    descriptions = _descriptions(model.description, default)
    return Package(package, model.specificationVersion, _metadata(model.description), functions, default, descriptions)


class _Reader:
    """Reads one function; counts its operations."""

    def __init__(self, function: str, constants: Constants) -> None:
        self._function = function
        self._constants = constants
        self._count = 0

    def function(self, message: Any) -> Function:
        where = f"function '{self._function}'"
        block = message.block_specializations.get(message.opset) if message.opset else None
        if block is None:
            found = ", ".join(message.block_specializations) or "none"
            raise PackageError(f"{where}: no body for its opset {message.opset!r} (bodies: {found})")
        inputs = [
            NamedType(item.name, value_type(item.type, f"{where}, input '{item.name}'")) for item in message.inputs
        ]
        body = self._block(block)
        types = {item.name: item.type for item in inputs}
        types.update((item.name, item.type) for operation in body.operations for item in operation.outputs)
        missing = next((name for name in body.outputs if name not in types), None)
        if missing is not None:
            raise PackageError(f"{where}: the result '{missing}' is never computed")
        return Function(
            name=self._function,
            opset=message.opset,
            inputs=tuple(item for item in inputs if not isinstance(item.type, StateType)),
            states=tuple(item for item in inputs if isinstance(item.type, StateType)),
            outputs=tuple(NamedType(name, types[name]) for name in body.outputs),
            body=body,
        )

    def _block(self, message: Any) -> Block:
        where = f"function '{self._function}'"
        inputs = tuple(NamedType(item.name, value_type(item.type, where)) for item in message.inputs)
        return Block(inputs, tuple(message.outputs), tuple(self._operation(item) for item in message.operations))

    def _operation(self, message: Any) -> Operation:
        index = self._count
        self._count += 1
        where = f"function '{self._function}', operation {index}, {message.type}"
        attributes = {key: self._constants.constant(value, where) for key, value in sorted(message.attributes.items())}
        outputs = tuple(NamedType(item.name, value_type(item.type, where)) for item in message.outputs)
        return Operation(
            index=index,
            type=message.type,
            name=_name(attributes, outputs, index),
            inputs={key: self._bindings(item.arguments, where) for key, item in sorted(message.inputs.items())},
            outputs=outputs,
            attributes=attributes,
            blocks=tuple(self._block(block) for block in message.blocks),
        )

    def _bindings(self, arguments: Iterable[Any], where: str) -> tuple[Binding, ...]:
        return tuple(
            Reference(item.name)
            if item.WhichOneof("binding") == "name"
            else self._constants.constant(item.value, where)
            for item in arguments
        )


def _name(attributes: dict[str, Constant], outputs: tuple[NamedType, ...], index: int) -> str:
    name = attributes["name"].value() if "name" in attributes else None
    if isinstance(name, str) and name:
        return name
    return outputs[0].name if outputs else f"op_{index}"


def _metadata(description: Any) -> Metadata:
    message = description.metadata
    user = dict(sorted(message.userDefined.items()))
    return Metadata(message.shortDescription, message.versionString, message.author, message.license, user)


def _descriptions(message: Any, default: str) -> dict[str, Description]:
    # A package with one function describes it at the top level; one with several gives each its own record.
    described = {item.name: item for item in message.functions} or {default: message}
    return {
        name: Description(
            inputs=tuple(_feature(feature) for feature in item.input),
            outputs=tuple(_feature(feature) for feature in item.output),
            states=tuple(_feature(feature) for feature in item.state),
        )
        for name, item in described.items()
    }


def _feature(message: Any) -> Feature:
    field = message.type.WhichOneof("Type") or "tensor"
    kind = {"multiArrayType": "tensor"}.get(field, field.removesuffix("Type"))
    array = {"multiArrayType": message.type.multiArrayType, "stateType": message.type.stateType.arrayType}.get(field)
    type_: TensorType | None = None
    flexible = False
    if array is not None:
        dtype = array_dtypes().get(array.dataType, "fp32")
        type_ = TensorType(dtype, tuple(int(extent) for extent in array.shape))
        flexible = array.WhichOneof("ShapeFlexibility") is not None
    return Feature(message.name, kind, type_, message.type.isOptional, flexible, message.shortDescription)
