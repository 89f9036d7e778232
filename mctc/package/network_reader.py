"""Reads a neural network: from the messages of NeuralNetwork.proto to records."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from mctc.package.network import Extents, Layer, Network, Weight
from mctc.package.thinned import weight_sizes

KINDS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
"""Types of a model that are a neural network."""
_WIDTHS = (32, 16, None, 8)
"""Bits of the numbers in each field of WeightParams; quantized ones tell theirs."""
_RANK5_OF = {1: lambda shape: (1, 1, *shape, 1, 1), 3: lambda shape: (1, 1, *shape)}
"""How the shape of an array becomes [sequence, batch, channel, height, width] (RANK5_ARRAY_MAPPING)."""


def read_network(model: Any) -> Network | None:
    """The network of a Model message that was thinned; None where the model is of another kind."""
    kind = model.WhichOneof("Type")
    if kind not in KINDS:
        return None
    message = getattr(model, kind)
    return Network(
        layers=_layers(message.layers, count()),
        inputs={item.name: _input(item, message) for item in model.description.input},
        outputs=tuple(item.name for item in model.description.output),
        updatable=model.isUpdatable,
    )


def _layers(messages: Any, index: Iterator[int]) -> tuple[Layer, ...]:
    return tuple(_layer(message, index) for message in messages)


def _layer(message: Any, index: Iterator[int]) -> Layer:
    type_ = message.WhichOneof("layer")
    settings = getattr(message, type_) if type_ else None
    place = next(index)
    return Layer(
        index=place,
        name=message.name,
        type=type_ or "unknown",
        inputs=tuple(message.input),
        outputs=tuple(message.output),
        settings=settings,
        weights=tuple(_weights(settings, "")) if settings is not None else (),
        declared=tuple(_declared(tensor) for tensor in message.outputTensor),
        inner=tuple(_inner(settings, index)) if type_ in ("branch", "loop") else (),
    )


def _inner(settings: Any, index: Iterator[int]) -> Iterator[tuple[str, tuple[Layer, ...]]]:
    for field, value in settings.ListFields():
        if field.message_type is not None and field.message_type.name == "NeuralNetwork":
            yield field.name, _layers(value.layers, index)


def _weights(message: Any, path: str) -> Iterator[Weight]:
    """The weights in a message and in those inside it; inner networks have layers of their own."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.name == "NeuralNetwork":
            continue
        several = not hasattr(value, "ListFields")
        if several and field.message_type.GetOptions().map_entry:
            continue
        for place, each in enumerate(value) if several else [(None, value)]:
            name = f"{path}{field.name}" if place is None else f"{path}{field.name}[{place}]"
            if field.message_type.name == "WeightParams":
                yield from _weight(each, name)
            else:
                yield from _weights(each, f"{name}.")


def _weight(message: Any, name: str) -> Iterator[Weight]:
    for size, width in zip(weight_sizes(message), _WIDTHS, strict=True):
        if size:
            bits = width or message.quantization.numberOfBits or 8
            yield Weight(name, size * 8 // bits, bits, size)


def _declared(tensor: Any) -> Extents | None:
    """The shape that a layer says a tensor has; None where it says the rank alone, or nothing."""
    shape = tuple(extent if extent > 0 else None for extent in tensor.dimValue)
    return shape if shape and len(shape) == tensor.rank else None


def _input(feature: Any, network: Any) -> Extents | None:
    """The shape in which an input comes to the layers; of a flexible one, the default."""
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        gray = "GRAYSCALE" in type(image).ColorSpace.Name(image.colorSpace)
        shape = (1 if gray else 3, image.height or None, image.width or None)
        return (1, *shape) if network.imageInputShapeMapping else (1, 1, *shape)
    if kind != "multiArrayType":
        return None
    extents = tuple(extent if extent > 0 else None for extent in feature.type.multiArrayType.shape)
    if not extents:
        return None
    if network.arrayInputShapeMapping:
        return extents
    to_rank5 = _RANK5_OF.get(len(extents))
    return extents if len(extents) == 5 else to_rank5(extents) if to_rank5 is not None else None
