"""Core ML models on disk: read into plain records, without coremltools' import, weights left where they are.

read (read_package) finds the container · specification, functions, features, values: from protobuf messages ·
compiled, mil_text: from a .mlmodelc · model (Package, Function, Operation, Constant), types, dtypes, place: the
records · inline, weights, blob, bits: constants, the weight file, sub-byte packing · manifest, files: paths stay inside
the model's folder · protobuf: the message classes.
"""

from __future__ import annotations

from mctc.package.errors import AbsentFile, NotAProgram, PackageError
from mctc.package.model import (
    Binding,
    Block,
    Constant,
    Description,
    Feature,
    ForeignModel,
    Function,
    Metadata,
    Operation,
    Package,
    Reference,
)
from mctc.package.read import read_package
from mctc.package.types import ListType, NamedType, OtherType, StateType, TensorType, ValueType

__all__ = [
    "AbsentFile",
    "Binding",
    "Block",
    "Constant",
    "Description",
    "Feature",
    "ForeignModel",
    "Function",
    "ListType",
    "Metadata",
    "NamedType",
    "NotAProgram",
    "Operation",
    "OtherType",
    "Package",
    "PackageError",
    "Reference",
    "StateType",
    "TensorType",
    "ValueType",
    "read_package",
]
