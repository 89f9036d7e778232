"""Descriptions of inputs, outputs and states: from protobuf messages to records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mctc.package.dtypes import unknown
from mctc.package.model import Description, Feature
from mctc.package.protobuf import array_dtypes
from mctc.package.types import TensorType


def descriptions(message: Any, default: str) -> dict[str, Description]:
    """The interface of each function that a ModelDescription message tells of."""
    # A package with one function describes it at the top level; one with several gives each its own record.
    described = {item.name: item for item in message.functions} or {default: message}
    return {
        name: Description(features(item.input), features(item.output), features(item.state))
        for name, item in described.items()
    }


def features(messages: Iterable[Any]) -> tuple[Feature, ...]:
    """The records for FeatureDescription messages."""
    return tuple(_feature(message) for message in messages)


def _feature(message: Any) -> Feature:
    field = message.type.WhichOneof("Type") or "tensor"
    kind = {"multiArrayType": "tensor"}.get(field, field.removesuffix("Type"))
    common = {"optional": message.type.isOptional, "description": message.shortDescription}
    if field == "imageType":
        return Feature(message.name, kind, None, **_sizes(message.type.imageType), **common)
    array = {"multiArrayType": message.type.multiArrayType, "stateType": message.type.stateType.arrayType}.get(field)
    if array is None:
        return Feature(message.name, kind, None, **common)
    dtype = array_dtypes().get(array.dataType) or (unknown(array.dataType) if array.dataType else "fp32")
    shape = tuple(array.shape)
    flexibility = array.WhichOneof("ShapeFlexibility")
    default = array.WhichOneof("defaultOptionalValue")
    return Feature(
        message.name,
        kind,
        TensorType(dtype, shape),
        flexible=flexibility is not None,
        enumerated=enumerated(shape, (tuple(item.shape) for item in array.enumeratedShapes.shapes)),
        ranges=tuple(extent_range(item.lowerBound, item.upperBound) for item in array.shapeRange.sizeRanges),
        default=None if default is None else getattr(array, default),
        **common,
    )


def _sizes(image: Any) -> dict[str, Any]:
    """The heights and widths that an image may have, as enumerated shapes or ranges of two axes."""
    listed = tuple((size.height, size.width) for size in image.enumeratedSizes.sizes)
    sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
    by_range = image.WhichOneof("SizeFlexibility") == "imageSizeRange"
    return {
        "flexible": image.WhichOneof("SizeFlexibility") is not None,
        "enumerated": enumerated((image.height, image.width), listed),
        "ranges": tuple(extent_range(each.lowerBound, each.upperBound) for each in sides) if by_range else (),
        "size": (image.height, image.width),
    }


def enumerated(default: tuple[int, ...], shapes: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The shapes that are allowed, in the order given; the default leads where it isn't among them."""
    listed = tuple(shapes)
    return listed if not listed or not default or default in listed else (default, *listed)


def extent_range(least: int, greatest: int) -> tuple[int, int | None]:
    """The bounds of an extent; a negative greatest one stands for none."""
    return least, None if greatest < 0 else greatest
