"""At which shapes of its inputs a neural network is judged, as its layers see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mctc.linter.coreml.sizes import Size, WantedShape, sizes_of
from mctc.package import Block, Description, Feature, ForeignModel, Function, NamedType, TensorType
from mctc.package.network import Extents, Network

OF_PLANES = 3
"""Axes of channels, height and width."""


def sizes_of_network(model: ForeignModel, network: Network, wanted: Sequence[WantedShape] = ()) -> tuple[Size, ...]:
    """The sizes of its inputs as the description tells them to an app; none where every shape is fixed.

    Raises UsageError for a wanted shape that an input can't have.
    """
    inputs = [
        NamedType(feature.name, TensorType("fp32", shape))
        for feature in model.inputs
        if (shape := _declared(feature, network.inputs.get(feature.name))) is not None
    ]
    function = Function("network", "", tuple(inputs), (), (), Block((), (), ()))
    return sizes_of(function, Description(model.inputs, (), ()), wanted)


def _declared(feature: Feature, seen: Extents | None) -> Extents | None:
    """The shape of an input, open where it may vary; None for one that is no tensor or of which nothing is told."""
    if feature.kind == "image":
        shape = None if seen is None else seen[-OF_PLANES:]
        return shape if shape is None or not feature.flexible else (shape[0], None, None)
    stated = feature.type.shape if feature.type is not None else None
    if not feature.flexible or not stated:
        return stated or None
    shapes = feature.enumerated or tuple(zip(*((least, most) for least, most in feature.ranges)))
    same = [len({shape[axis] for shape in shapes if axis < len(shape)}) == 1 for axis in range(len(stated))]
    return tuple(extent if fixed else None for extent, fixed in zip(stated, same, strict=True))


def inputs_at(network: Network, size: Size) -> Mapping[str, Extents | None]:
    """The shapes of all inputs as the layers see them at a size."""
    return {**network.inputs, **{name: _seen(network.inputs.get(name), shape) for name, shape in size.shapes.items()}}


def _seen(usual: Extents | None, shape: tuple[int, ...]) -> Extents:
    """A shape that the description has, with the axes that the mapping of the network puts around it."""
    if usual is None or len(usual) == len(shape):
        return shape
    return (*usual[:-OF_PLANES], *shape) if len(shape) == OF_PLANES else (1, 1, *shape, 1, 1)
