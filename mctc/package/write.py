"""Writes a package record as a .mlpackage folder: the way back from mctc.package.read.

Written are ML programs of static shapes whose values are tensors and states. Constants become `const` operations, as
coremltools writes them, large ones in the weight file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from mctc.package.bits import pack
from mctc.package.dtypes import DTYPES
from mctc.package.errors import PackageError
from mctc.package.layout import AUTHOR, MODEL, manifest_text
from mctc.package.model import Block, Constant, Function, Operation, Package, Reference
from mctc.package.protobuf import array_dtypes, model_class
from mctc.package.types import NamedType, StateType, TensorType
from mctc.package.weight_file import WeightFile
from mctc.records import dataclass

WEIGHT_FILE = "@model_path/weights/weight.bin"
INLINE = 64
"""Bytes up to which a constant is written in the program."""


def write_package(package: Package, path: Path) -> None:
    """Writes `package` at `path`, which must not exist. Raises PackageError for what has no written form here."""
    data = path / "Data" / AUTHOR
    (data / "weights").mkdir(parents=True)
    model = model_class()()
    model.specificationVersion = package.spec_version
    model.description.metadata.userDefined.update(dict(package.metadata.user))
    model.mlProgram.version = 1
    with WeightFile(data / "weights" / "weight.bin") as file:
        for name, function in package.functions.items():
            _FunctionWriter(function, file).write(model.mlProgram.functions[name])
    single = len(package.functions) == 1
    for name, function in package.functions.items():
        described = model.description if single else model.description.functions.add(name=name)
        _describe(function, described)
    if not single:
        model.description.defaultFunctionName = package.default_function
    (data / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    (path / "Manifest.json").write_text(manifest_text(), encoding="utf-8")


def _describe(function: Function, message: Any) -> None:
    numbers = {name: number for number, name in array_dtypes().items()}
    for items, features in ((function.inputs, message.input), (function.outputs, message.output)):
        for item in items:
            _feature(item, features.add(name=item.name).type.multiArrayType, numbers)
    for item in function.states:
        _feature(item, message.state.add(name=item.name).type.stateType.arrayType, numbers)


def _feature(item: NamedType, array: Any, numbers: Mapping[str, int]) -> None:
    type_ = _tensor(item)
    if type_.dtype not in numbers:
        raise PackageError(f"{item}: an app can't hand over {type_.dtype}", hint="cast it inside the program")
    array.shape.extend(type_.shape)
    array.dataType = numbers[type_.dtype]


def _tensor(item: NamedType) -> TensorType:
    type_ = item.type.wrapped if isinstance(item.type, StateType) else item.type
    if not isinstance(type_, TensorType) or type_.shape is None or None in type_.shape:
        raise PackageError(f"{item} has no definite shape, which can't be written")
    return type_


@dataclass
class _FunctionWriter:
    """One function. names: those of const operations, by what they hold."""

    function: Function
    file: WeightFile
    names: dict[int, str] = field(default_factory=dict)
    kept: list[Constant] = field(default_factory=list)

    def write(self, message: Any) -> None:
        message.opset = self.function.opset
        for item in self.function.inputs:
            _set_type(message.inputs.add(name=item.name).type, item)
        for item in self.function.states:
            _set_tensor(message.inputs.add(name=item.name).type.stateType.wrappedType.tensorType, _tensor(item))
        self.block(self.function.body, message.block_specializations[self.function.opset])

    def block(self, block: Block, message: Any) -> None:
        message.outputs.extend(block.outputs)
        for operation in block.operations:
            if operation.blocks:
                raise PackageError(f"{operation}: blocks inside an operation can't be written")
            self.operation(operation, message)

    def operation(self, operation: Operation, block: Any) -> None:
        bound = {
            key: [each.name if isinstance(each, Reference) else self.constant(each, block) for each in bindings]
            for key, bindings in operation.inputs.items()
        }
        made = block.operations.add(type=operation.type)
        for key, names in bound.items():
            for name in names:
                made.inputs[key].arguments.add(name=name)
        for item in operation.outputs:
            _set_type(made.outputs.add(name=item.name).type, item)
        for key, value in operation.attributes.items():
            self.value(made.attributes[key], value)
        if "name" not in operation.attributes:
            _set_strings(made.attributes["name"], TensorType("string", ()), operation.name)

    def constant(self, constant: Constant, block: Any) -> str:
        """The name of the const operation that holds it."""
        if id(constant) not in self.names:
            name = f"const_{len(self.names)}"
            made = block.operations.add(type="const")
            _set_tensor(made.outputs.add(name=name).type.tensorType, _constant_type(constant))
            _set_strings(made.attributes["name"], TensorType("string", ()), name)
            self.value(made.attributes["val"], constant)
            self.names[id(constant)] = name
            self.kept.append(constant)  # an id is its own only while the object lives
        return self.names[id(constant)]

    def value(self, message: Any, constant: Constant) -> None:
        type_ = _constant_type(constant)
        if type_.dtype == "string":
            _set_strings(message, type_, constant.value())
            return
        row, shape = DTYPES[type_.dtype], [extent or 0 for extent in type_.shape or ()]
        array = np.asarray(constant.value(), row.holder).reshape(shape)
        _set_tensor(message.type.tensorType, type_)
        if row.blob_code is not None and array.size * row.bits > 8 * INLINE:
            message.blobFileValue.fileName = WEIGHT_FILE
            message.blobFileValue.offset = self.file.add(type_.dtype, array)
            return
        tensor = message.immediateValue.tensor
        if type_.dtype == "fp32":
            tensor.floats.values.extend(array.ravel().tolist())
        elif type_.dtype == "int32":
            tensor.ints.values.extend(array.ravel().tolist())
        elif type_.dtype == "bool":
            tensor.bools.values.extend(array.ravel().tolist())
        elif row.bits < 8:
            tensor.bytes.values = bytes(pack(array, row.bits))
        else:
            tensor.bytes.values = array.astype(row.holder.newbyteorder("<")).tobytes()


def _constant_type(constant: Constant) -> TensorType:
    if not isinstance(constant.type, TensorType):
        raise PackageError(f"a constant of type {constant.type} can't be written")
    return constant.type


def _set_type(message: Any, item: NamedType) -> None:
    _set_tensor(message.tensorType, _tensor(item))


def _set_tensor(message: Any, type_: TensorType) -> None:
    message.dataType = DTYPES[type_.dtype].number
    if type_.shape:
        message.rank = len(type_.shape)
        for extent in type_.shape:
            message.dimensions.add().constant.size = extent


def _set_strings(message: Any, type_: TensorType, value: Any) -> None:
    _set_tensor(message.type.tensorType, type_)
    message.immediateValue.tensor.strings.values.extend([value] if isinstance(value, str) else list(value))
