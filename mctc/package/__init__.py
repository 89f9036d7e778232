"""Core ML packages on disk: read into plain records, without coremltools' import, weights left where they are.

read (read_package) · model (Package, Function, Operation, Constant) · types and dtypes · values, blob, bits (constants,
the weight file, sub-byte packing) · manifest (paths stay inside the package) · protobuf (the message classes).
"""

from __future__ import annotations

from mctc.package.errors import PackageError
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
from mctc.package.read import read_package
from mctc.package.types import ListType, NamedType, OtherType, StateType, TensorType, ValueType

__all__ = [
    "Binding",
    "Block",
    "Constant",
    "Description",
    "Feature",
    "Function",
    "ListType",
    "Metadata",
    "NamedType",
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
