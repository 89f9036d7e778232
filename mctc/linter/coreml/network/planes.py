"""Shape rules of layers that work on channels, height and width: the last three axes, whatever stands before them.

Formulas: the comments of coremltools' NeuralNetwork.proto.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from mctc.linter.coreml.network.extents import (
    Made,
    Shapes,
    UnfitError,
    axis_of,
    broadcast,
    of_known,
    planes,
    product,
    replaced,
    sliced,
    total,
)
from mctc.package.network import Extents, Layer

THREE_D = (("Depth", ("Front", "Back")), ("Height", ("Top", "Bottom")), ("Width", ("Left", "Right")))
"""Axes of layers in three dimensions, each with its two ends, as their fields are called."""


def window(given: Sequence[int], default: int) -> tuple[int, int]:
    """A field of two numbers [height, width] with the default of one that isn't set. Raises UnfitError."""
    if len(given) not in (0, 2):
        raise UnfitError(f"{len(given)} numbers for height and width")
    return (int(given[0]), int(given[1])) if given else (default, default)


def borders(amounts: Any) -> list[tuple[int, int]]:
    """Amounts before and behind, of height and of width; zeros where none are given."""
    found = [(int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in amounts.borderAmounts]
    return found if len(found) == 2 else [(0, 0), (0, 0)]


def convolution(layer: Layer, shapes: Shapes) -> Made:
    settings = layer.settings
    before, _, *sides = planes(shapes[0])
    kernel, stride, dilation = (
        window(settings.kernelSize, 3), window(settings.stride, 1), window(settings.dilationFactor, 1)
    )  # fmt: skip
    padding = settings.WhichOneof("ConvolutionPaddingType")
    if settings.isDeconvolution and len(settings.outputShape) == 2:
        return [(*before, settings.outputChannels, *map(int, settings.outputShape))]
    if padding is None:
        raise UnfitError("no padding is given")
    edges = borders(settings.valid.paddingAmounts)
    made = []
    for side, size, step, spread, edge in zip(sides, kernel, stride, dilation, edges, strict=True):
        if settings.isDeconvolution:
            made.append(_spread(side, size, step, None if padding == "same" else sum(edge)))
        else:
            made.append(slid(side, (size - 1) * spread + 1, step, None if padding == "same" else sum(edge)))
    return [(*before, settings.outputChannels, *made)]


def slid(extent: int | None, size: int, step: int, padded: int | None) -> int | None:
    """How often a window fits. padded: entries added to both ends; None: as many as one result a step needs."""
    if not step:
        raise UnfitError("a stride of 0")
    if padded is None:
        return of_known(extent, lambda known: -(-known // step))
    return of_known(extent, lambda known: (known + padded - size) // step + 1)


def _spread(extent: int | None, size: int, step: int, cut: int | None) -> int | None:
    """What a transposed convolution makes. cut: entries taken from both ends; None: a stride of results an entry."""
    if cut is None:
        return of_known(extent, lambda known: known * step)
    return of_known(extent, lambda known: (known - 1) * step + size - cut)


def pooling(layer: Layer, shapes: Shapes) -> Made:
    settings = layer.settings
    before, channels, *sides = planes(shapes[0])
    if settings.globalPooling:
        return [(*before, channels, 1, 1)]
    kernel, stride = window(settings.kernelSize, 3), window(settings.stride, 1)
    padding = settings.WhichOneof("PoolingPaddingType")
    if padding is None:
        raise UnfitError("no padding is given")
    if padding == "includeLastPixel":
        amounts = window(settings.includeLastPixel.paddingAmounts, 0)
        made = [_complete(*each, any(amounts)) for each in zip(sides, kernel, stride, amounts, strict=True)]
    else:
        edges = borders(settings.valid.paddingAmounts)
        made = [
            slid(side, size, step, None if padding == "same" else sum(edge))
            for side, size, step, edge in zip(sides, kernel, stride, edges, strict=True)
        ]
    return [(*before, channels, *made)]


def _complete(extent: int | None, size: int, step: int, amount: int, any_padding: bool) -> int | None:
    """Windows of which the last has the last pixel in it, but doesn't lie in the padding as a whole."""
    if not step:
        raise UnfitError("a stride of 0")

    def count(known: int) -> int:
        fits = -(-(known + 2 * amount - size) // step) + 1
        return fits - 1 if any_padding and (fits - 1) * step >= known + amount else fits

    return of_known(extent, count)


def inner_product(layer: Layer, shapes: Shapes) -> Made:
    shape, into, out = shapes[0], layer.settings.inputChannels, layer.settings.outputChannels
    merged = shape[-3:] if len(shape) > 3 else shape[-1:]
    count = product(merged)
    if count is not None and count != into:
        raise UnfitError(f"{count} numbers where {into} are wanted")
    return [(*shape[:-3], out, 1, 1) if len(shape) > 3 else (*shape[:-1], out)]


def embedding(layer: Layer, shapes: Shapes) -> Made:
    before, *ones = planes(shapes[0])
    if set(ones) - {1, None} or not before:
        raise UnfitError("an input that has no axes of extent 1 behind")
    return [(*before, layer.settings.outputChannels, 1, 1)]


def crop(layer: Layer, shapes: Shapes) -> Made:
    before, channels, *sides = planes(shapes[0])
    if len(shapes) == 2:
        return [(*before, channels, *shapes[1][-2:])]
    edges = borders(layer.settings.cropAmounts)
    return [(*before, channels, *(_cut(side, sum(edge)) for side, edge in zip(sides, edges, strict=True)))]


def _cut(extent: int | None, amount: int) -> int | None:
    return of_known(extent, lambda known: known - amount)


def padding(layer: Layer, shapes: Shapes) -> Made:
    before, channels, *sides = planes(shapes[0])
    edges = borders(layer.settings.paddingAmounts)
    return [(*before, channels, *(total((side, *edge)) for side, edge in zip(sides, edges, strict=True)))]


def upsample(layer: Layer, shapes: Shapes) -> Made:
    before, channels, *sides = planes(shapes[0])
    fractions = getattr(layer.settings, "fractionalScalingFactor", ())
    factors = tuple(fractions) if len(fractions) == 2 else window(layer.settings.scalingFactor, 1)
    if not all(map(isfinite, factors)):
        raise UnfitError("a scale without end")
    made = (None if side is None else int(side * factor) for side, factor in zip(sides, factors, strict=True))
    return [(*before, channels, *made)]


def resize(layer: Layer, shapes: Shapes) -> Made:
    before, channels, *_ = planes(shapes[0])
    return [(*before, channels, *window(layer.settings.targetSize, 1))]


def crop_and_resize(layer: Layer, shapes: Shapes) -> Made:
    image, regions = shapes
    if len(image) != 5 or len(regions) != 5 or regions[2] not in (4, 5):
        raise UnfitError("an image and regions of other ranks than 5")
    batch = image[1] if regions[2] == 4 else 1
    return [(regions[0], batch, image[2], *window(layer.settings.targetSize, 1))]


def reorganize(layer: Layer, shapes: Shapes) -> Made:
    before, channels, height, width = planes(shapes[0])
    block = int(layer.settings.blockSize)
    if block < 1:
        raise UnfitError(f"blocks of {block}")
    if layer.settings.mode == 0:  # SPACE_TO_DEPTH
        sides = (of_known(side, lambda known: known // block) for side in (height, width))
        return [(*before, product((channels, block, block)), *sides)]
    sides = (product((side, block)) for side in (height, width))
    return [(*before, of_known(channels, lambda known: known // block**2), *sides)]


def elementwise(layer: Layer, shapes: Shapes) -> Made:
    return [broadcast(shapes)]


def flatten(layer: Layer, shapes: Shapes) -> Made:
    before, *inner = planes(shapes[0])
    return [(*before, product(inner), 1, 1)]


def concat(layer: Layer, shapes: Shapes) -> Made:
    axis = -5 if layer.settings.sequenceConcat else -3
    return [joined(shapes, axis)]


def joined(shapes: Shapes, axis: int) -> Extents:
    """Tensors one behind another along an axis. Raises UnfitError where they don't fit."""
    if len({len(shape) for shape in shapes}) != 1:
        raise UnfitError("tensors of several ranks")
    place = axis_of(axis, len(shapes[0]))
    others = broadcast([replaced(shape, place, 1) for shape in shapes])
    return replaced(others, place, total(shape[place] for shape in shapes))


def split(layer: Layer, shapes: Shapes) -> Made:
    parts = layer.settings.nOutputs or len(layer.outputs)
    shape = shapes[0]
    planes(shape)
    return [replaced(shape, -3, of_known(shape[-3], lambda known: known // parts))] * len(layer.outputs)


def slice_of_planes(layer: Layer, shapes: Shapes) -> Made:
    settings, shape = layer.settings, shapes[0]
    axis = (-3, -2, -1)[settings.axis]
    place = axis_of(axis, len(shape))
    return [replaced(shape, axis, sliced(shape[place], settings.startIndex, settings.endIndex, settings.stride or 1))]


def reduce(layer: Layer, shapes: Shapes) -> Made:
    shape = shapes[0]
    for axis in ((-3, -2, -1), (-2, -1), (-3,), (-2,), (-1,))[layer.settings.axis]:
        shape = replaced(shape, axis, 1)
    return [shape]


def dot(layer: Layer, shapes: Shapes) -> Made:
    before, *_ = planes(shapes[0])
    return [(*before, 1, 1, 1)]


def solid(layer: Layer, shapes: Shapes) -> Made:
    """Convolution and pooling in three dimensions: [batch, channel, depth, height, width]."""
    settings, shape = layer.settings, shapes[0]
    if len(shape) != 5:
        raise UnfitError(f"rank {len(shape)} where 5 is wanted")
    channels = settings.outputChannels if layer.type == "convolution3d" else shape[1]
    if layer.type == "globalPooling3d":
        return [(shape[0], channels, 1, 1, 1)]
    if layer.type == "convolution3d" and settings.isDeconvolution and len(settings.outputShape) == 3:
        return [(shape[0], channels, *map(int, settings.outputShape))]
    return [(shape[0], channels, *(_side(settings, place, shape[place + 2]) for place in range(3)))]


def _side(settings: Any, place: int, extent: int | None) -> int | None:
    """One of depth, height and width behind a convolution or a pooling in three dimensions."""
    axis, ends = THREE_D[place]
    size, step = getattr(settings, f"kernel{axis}") or 1, getattr(settings, f"stride{axis}") or 1
    amounts = sum(getattr(settings, f"customPadding{end}") for end in ends)
    way = type(settings).DESCRIPTOR.fields_by_name["paddingType"].enum_type.values_by_number[settings.paddingType].name
    padded = {"CUSTOM": amounts, "VALID": 0}.get(way)
    if getattr(settings, "isDeconvolution", False):
        return _spread(extent, size, step, padded)
    return slid(extent, (size - 1) * (getattr(settings, f"dilation{axis}", 1) or 1) + 1, step, padded)
