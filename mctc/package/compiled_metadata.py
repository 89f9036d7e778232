"""What metadata.json tells of a compiled model.

It only describes: whatever in it isn't as it should be is passed over, the whole file if need be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from mctc.package.dtypes import unknown
from mctc.package.errors import PackageError
from mctc.package.features import enumerated, extent_range
from mctc.package.files import inside, read_file
from mctc.package.model import Description, Feature, Metadata
from mctc.package.types import TensorType
from mctc.records import dataclass

_LIMIT = 1 << 24
_DTYPES = {"Float16": "fp16", "Float32": "fp32", "Double": "fp64", "Float64": "fp64", "Int32": "int32", "Int8": "int8"}
_KINDS = {"MultiArray": "tensor"}
_NOTHING = Description((), (), ())


@dataclass(frozen=True)
class CompiledMetadata:
    """Empty where the file has nothing to say. `functions` has the interfaces that it gives by function."""

    spec_version: int = 0
    kind: str = ""
    metadata: Metadata = field(default_factory=Metadata)
    default_function: str = ""
    description: Description = _NOTHING
    functions: Mapping[str, Description] = field(default_factory=dict)

    def descriptions(self, default: str) -> dict[str, Description]:
        """The interface of each function that is described."""
        if self.functions:
            return dict(self.functions)
        return {} if self.description == _NOTHING else {default: self.description}


def read_metadata(folder: Path) -> CompiledMetadata:
    """The metadata of a .mlmodelc folder, which may have none."""
    try:
        content = json.loads(read_file(inside(folder, folder / "metadata.json"), _LIMIT))
    except (PackageError, ValueError, RecursionError):
        return CompiledMetadata()
    root = _mapping(content[0] if isinstance(content, list) and content else content)
    functions = {text(item, "name"): _description(item) for item in _mappings(root.get("functions"))}
    return CompiledMetadata(
        spec_version=_integer(root.get("specificationVersion")),
        kind=text(_mapping(root.get("modelType")), "name").removeprefix("MLModelType_"),
        metadata=_metadata(root),
        default_function=text(root, "defaultFunctionName"),
        description=_description(root),
        functions={name: item for name, item in functions.items() if name},
    )


def text(entry: Mapping[str, Any], key: str) -> str:
    """A string of an object; empty where there is none."""
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0


def _metadata(root: Mapping[str, Any]) -> Metadata:
    user = _mapping(root.get("userDefinedMetadata"))
    return Metadata(
        short_description=text(root, "shortDescription"),
        version=text(root, "version"),
        author=text(root, "author"),
        license=text(root, "license"),
        user={key: value for key, value in sorted(user.items()) if isinstance(value, str)},
    )


def _description(entry: Mapping[str, Any]) -> Description:
    inputs, outputs, states = (
        tuple(_feature(item) for item in _mappings(entry.get(key)) if text(item, "name"))
        for key in ("inputSchema", "outputSchema", "stateSchema")
    )
    return Description(inputs, outputs, states)


def _feature(entry: Mapping[str, Any]) -> Feature:
    name = text(entry, "type")
    shape = _numbers(entry.get("shape"))
    shapes, ranges = _lists(entry.get("enumeratedShapes")), _lists(entry.get("shapeRange"))
    size = _size(entry)
    if size is not None:  # an image, whose width comes first here
        shapes = tuple(each[::-1] for each in _lists(entry.get("enumeratedSizes")) if len(each) == 2)
        ranges = _lists(entry.get("sizeRange"))[::-1]
    if any(len(pair) != 2 for pair in ranges):
        ranges = ()
    stated = (entry.get("hasShapeFlexibility"), entry.get("hasSizeFlexibility"))
    flexible = any(each in ("1", 1, True) for each in stated) or bool(shapes or ranges)
    return Feature(
        name=text(entry, "name"),
        kind=_KINDS.get(name, name[:1].lower() + name[1:]) or "tensor",
        type=None if shape is None else TensorType(_dtype(text(entry, "dataType")), shape),
        optional=entry.get("isOptional") in ("1", 1, True),
        flexible=flexible,
        description=text(entry, "shortDescription"),
        enumerated=enumerated(shape or size or (), shapes),
        ranges=tuple(extent_range(*pair) for pair in ranges),
        size=size,
    )


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image, written as text."""
    sides = [_parsed(entry.get(key)) for key in ("height", "width")]
    height, width = (side if type(side) is int and side > 0 else 0 for side in sides)
    return (height, width) if height and width else None


def _dtype(name: str) -> str:
    return _DTYPES.get(name) or (unknown(name) if name else "fp32")


def _parsed(value: Any) -> Any:
    """Shapes are lists written as strings."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _numbers(value: Any) -> tuple[int, ...] | None:
    items = _parsed(value)
    if not isinstance(items, list) or not all(type(item) is int for item in items):
        return None
    return tuple(items)


def _lists(value: Any) -> tuple[tuple[int, ...], ...]:
    """A list of lists of numbers; empty where one of them isn't."""
    items = _parsed(value)
    found = [_numbers(item) for item in items] if isinstance(items, list) else []
    return () if any(item is None for item in found) else tuple(item for item in found if item is not None)
