"""Lays packages out as the bytes of their files: specification, weight file, manifest."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.fuzz.guided.bundle import Bundle, Member
from mctc.package import Constant, Function, NamedType, Operation, Package, Reference, StateType, TensorType
from mctc.package.bits import pack
from mctc.package.dtypes import DTYPES
from mctc.package.protobuf import model_class

MANIFEST = {
    "fileFormatVersion": "1.0.0",
    "itemInfoEntries": {"root": {"path": "com.apple.CoreML/model.mlmodel", "name": "model.mlmodel"}},
    "rootModelIdentifier": "root",
}
FIELDS = {"bool": "bools", "fp32": "floats", "int32": "ints", "string": "strings"}
"""Where a TensorValue message holds the elements of a type; of other types it holds bytes."""
ARRAY_TYPES = {"fp16": 65552, "fp32": 65568, "int32": 131104}
"""Numbers of ArrayDataType in FeatureTypes.proto."""
ALIGNMENT = 64


def bundle_of(package: Package) -> Bundle:
    """The files of a .mlpackage."""
    writer = _Writer()
    model = writer.model(package)
    files = {
        "Manifest.json": json.dumps(MANIFEST).encode(),
        "Data/com.apple.CoreML/model.mlmodel": model.SerializeToString(),
        "Data/com.apple.CoreML/weights/weight.bin": writer.weights(),
    }
    return Bundle("x.mlpackage", {name: Member(content) for name, content in files.items()})


class _Writer:
    """Makes the messages of one package and collects the tensors of its weight file."""

    def __init__(self) -> None:
        self._blobs: list[bytes] = []
        self._size = ALIGNMENT

    def weights(self) -> bytes:
        return struct.pack("<II", len(self._blobs), 2).ljust(ALIGNMENT, b"\0") + b"".join(self._blobs)

    def model(self, package: Package) -> Any:
        model = model_class()(specificationVersion=package.spec_version)
        model.mlProgram.version = 1
        several = len(package.functions) > 1
        if several:
            model.description.defaultFunctionName = package.default_function
        for name, function in package.functions.items():
            self._function(model.mlProgram.functions[name], function)
            described = model.description.functions.add(name=name) if several else model.description
            _describe(described, package, name)
        return model

    def _function(self, message: Any, function: Function) -> None:
        message.opset = function.opset
        self._named(message.inputs, (*function.inputs, *function.states))
        block = message.block_specializations[function.opset]
        for operation in function.operations:
            self._operation(block.operations.add(type=operation.type), operation)
        block.outputs.extend(item.name for item in function.outputs)

    def _operation(self, message: Any, operation: Operation) -> None:
        for key, bindings in operation.inputs.items():
            for binding in bindings:
                argument = message.inputs[key].arguments.add()
                if isinstance(binding, Reference):
                    argument.name = binding.name
                else:
                    self._constant(argument.value, binding)
        for key, value in operation.attributes.items():
            self._constant(message.attributes[key], value)
        self._named(message.outputs, operation.outputs)
        for _ in operation.blocks:
            message.blocks.add()

    @staticmethod
    def _named(messages: Any, items: Iterable[NamedType]) -> None:
        for item in items:
            message = messages.add(name=item.name)
            if isinstance(item.type, StateType):
                _tensor_type(message.type.stateType.wrappedType.tensorType, item.type.wrapped)
            elif isinstance(item.type, TensorType):
                _tensor_type(message.type.tensorType, item.type)

    def _constant(self, message: Any, constant: Constant) -> None:
        assert isinstance(constant.type, TensorType)
        _tensor_type(message.type.tensorType, constant.type)
        value, dtype = constant.value(), constant.type.dtype
        if constant.stored_bytes and DTYPES[dtype].blob_code is not None:
            message.blobFileValue.fileName = "@model_path/weights/weight.bin"
            message.blobFileValue.offset = self._stored(np.asarray(value), dtype)
        elif dtype in FIELDS:
            items = value if dtype == "string" and isinstance(value, list) else np.asarray(value).reshape(-1).tolist()
            getattr(message.immediateValue.tensor, FIELDS[dtype]).values.extend(items)
        else:
            message.immediateValue.tensor.bytes.values = _packed(np.asarray(value), dtype)

    def _stored(self, value: Any, dtype: str) -> int:
        """The offset of the record that is put before the tensor's data."""
        data, offset = _packed(value, dtype), self._size
        spare = len(data) * 8 - value.size * DTYPES[dtype].bits
        record = struct.pack("<IIQQQ", 0xDEADBEEF, DTYPES[dtype].blob_code or 0, len(data), offset + ALIGNMENT, spare)
        padded = data.ljust(-(-len(data) // ALIGNMENT) * ALIGNMENT, b"\0")
        self._blobs.append(record.ljust(ALIGNMENT, b"\0") + padded)
        self._size += ALIGNMENT + len(padded)
        return offset


def _packed(value: Any, dtype: str) -> bytes:
    return pack(value, DTYPES[dtype].bits) if DTYPES[dtype].bits < 8 else value.astype(DTYPES[dtype].holder).tobytes()


def _tensor_type(message: Any, type_: TensorType) -> None:
    message.dataType = DTYPES[type_.dtype].number
    message.rank = len(type_.shape or ())
    for extent in type_.shape or ():
        dimension = message.dimensions.add()
        if extent is None:
            dimension.unknown.variadic = False
        else:
            dimension.constant.size = extent


def _describe(message: Any, package: Package, name: str) -> None:
    description = package.descriptions[name]
    for messages, features in (
        (message.input, description.inputs),
        (message.output, description.outputs),
        (message.state, description.states),
    ):
        for feature in features:
            one = messages.add(name=feature.name)
            array = one.type.stateType.arrayType if feature.kind == "state" else one.type.multiArrayType
            shape = feature.type.shape or () if feature.type else ()
            array.shape.extend(1 if extent is None else extent for extent in shape)
            array.dataType = ARRAY_TYPES.get(feature.type.dtype if feature.type else "", ARRAY_TYPES["fp32"])
            for listed in feature.enumerated:
                array.enumeratedShapes.shapes.add().shape.extend(listed)
            for least, greatest in feature.ranges:
                array.shapeRange.sizeRanges.add(lowerBound=least, upperBound=-1 if greatest is None else greatest)
