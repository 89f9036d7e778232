"""Shape rules of layers that work on tensors of any rank (specification version 4 and later).

Formulas: the comments of coremltools' NeuralNetwork.proto and the definitions of the numpy functions that it names.
"""

from __future__ import annotations

from math import ceil, isfinite, nan

from mctc.linter.coreml.network.extents import (
    Made,
    Shapes,
    UnfitError,
    axis_of,
    broadcast,
    of_known,
    product,
    replaced,
    reshaped,
    sliced,
    total,
    without,
)
from mctc.linter.coreml.network.planes import joined
from mctc.package.network import Extents, Layer

RANKS = 5
"""The greatest rank of a tensor in a network."""


def like_first(layer: Layer, shapes: Shapes) -> Made:
    return [shapes[0]] * len(layer.outputs)


def like_second(layer: Layer, shapes: Shapes) -> Made:
    return [shapes[1]]


def of_rank(shape: Extents) -> Extents:
    """Unknown extents, as many as a tensor that holds a shape has entries. Raises UnfitError."""
    rank = shape[0] if len(shape) == 1 else None
    if rank is None or rank > RANKS:
        raise UnfitError("a shape that is known only when the network runs")
    return (None,) * rank


def given_shape(layer: Layer, shapes: Shapes) -> Made:
    """Of constants and tensors filled with one value."""
    settings = layer.settings
    field = next(name for name in ("shape", "targetShape", "outputShape") if hasattr(settings, name))
    return [tuple(map(int, getattr(settings, field)))]


def constant_planes(layer: Layer, shapes: Shapes) -> Made:
    return [(1, 1, *map(int, layer.settings.shape))]


def filled(layer: Layer, shapes: Shapes) -> Made:
    """Filled or random tensors of a shape that another tensor holds."""
    return [of_rank(shapes[0])]


def broadcast_dynamic(layer: Layer, shapes: Shapes) -> Made:
    return [of_rank(shapes[1])]


def range_static(layer: Layer, shapes: Shapes) -> Made:
    settings = layer.settings
    steps = (settings.endValue - settings.startValue) / (settings.stepSizeValue or nan)
    if not isfinite(steps):
        raise UnfitError("a step of 0, or numbers without end")
    return [(max(0, ceil(steps)),)]


def range_dynamic(layer: Layer, shapes: Shapes) -> Made:
    return [(None,)]


def reshape(layer: Layer, shapes: Shapes) -> Made:
    target = list(map(int, layer.settings.targetShape))
    if len(shapes[0]) != 5 or len(target) not in (3, 4):
        raise UnfitError(f"rank {len(shapes[0])} reshaped to {tuple(target)}")
    sequence = shapes[0][:1] if len(target) == 3 else (target.pop(0),)
    inner = reshaped(shapes[0][2:], target) if len(layer.settings.targetShape) == 3 else tuple(target)
    return [(*sequence, shapes[0][1], *inner)]


def reshape_static(layer: Layer, shapes: Shapes) -> Made:
    return [reshaped(shapes[0], list(map(int, layer.settings.targetShape)))]


def reshape_keeping_rank(layer: Layer, shapes: Shapes) -> Made:
    return [reshaped(shapes[0], list(map(int, layer.settings.targetShape)), keeps=True)]


def permute(layer: Layer, shapes: Shapes) -> Made:
    axes = list(map(int, layer.settings.axis)) or [0, 1, 2, 3]
    if len(shapes[0]) != 5 or sorted(axes) != [0, 1, 2, 3]:
        raise UnfitError(f"rank {len(shapes[0])} permuted by {tuple(axes)}")
    sequence, batch, *inner = shapes[0]
    first, *rest = ((sequence, *inner)[axis] for axis in axes)
    return [(first, batch, *rest)]


def transpose(layer: Layer, shapes: Shapes) -> Made:
    axes = list(map(int, layer.settings.axes))
    if sorted(axes) != list(range(len(shapes[0]))):
        raise UnfitError(f"rank {len(shapes[0])} transposed by {tuple(axes)}")
    return [tuple(shapes[0][axis] for axis in axes)]


def embedding(layer: Layer, shapes: Shapes) -> Made:
    return [(*shapes[0][:-1], layer.settings.embeddingSize)]


def matmul(layer: Layer, shapes: Shapes) -> Made:
    settings = layer.settings
    if len(shapes) == 1:
        return [(*shapes[0][:-1], settings.weightMatrixSecondDimension)]
    left = (1, *shapes[0]) if len(shapes[0]) == 1 else shapes[0]
    right = (*shapes[1], 1) if len(shapes[1]) == 1 else shapes[1]
    rows, summed = (left[-1], left[-2]) if settings.transposeA else (left[-2], left[-1])
    also_summed, columns = (right[-1], right[-2]) if settings.transposeB else (right[-2], right[-1])
    if None not in (summed, also_summed) and summed != also_summed:
        raise UnfitError(f"a product of {summed} with {also_summed}")
    return [(*broadcast([left[:-2], right[:-2]]), rows, columns)]


def stack(layer: Layer, shapes: Shapes) -> Made:
    shape = broadcast(shapes)
    axis = axis_of(layer.settings.axis, len(shape) + 1)
    return [(*shape[:axis], len(shapes), *shape[axis:])]


def concat(layer: Layer, shapes: Shapes) -> Made:
    return [joined(shapes, layer.settings.axis)]


def split(layer: Layer, shapes: Shapes) -> Made:
    shape, settings = shapes[0], layer.settings
    axis = axis_of(settings.axis, len(shape))
    if settings.splitSizes:
        return [replaced(shape, axis, int(size)) for size in settings.splitSizes]
    parts = settings.numSplits or len(layer.outputs)
    return [replaced(shape, axis, of_known(shape[axis], lambda known: known // parts))] * parts


def gather(layer: Layer, shapes: Shapes) -> Made:
    data, indices = shapes
    axis = axis_of(layer.settings.axis, len(data))
    return [(*data[:axis], *indices, *data[axis + 1 :])]


def gather_nd(layer: Layer, shapes: Shapes) -> Made:
    data, indices = shapes
    if indices[-1] is None or indices[-1] > len(data):
        raise UnfitError(f"indices of {indices[-1]} axes into rank {len(data)}")
    return [(*indices[:-1], *data[indices[-1] :]) or (1,)]


def tile(layer: Layer, shapes: Shapes) -> Made:
    shape, times = shapes[0], list(map(int, layer.settings.reps))
    if len(shapes) == 2:
        return [(None,) * len(shape)]
    if len(times) != len(shape):
        raise UnfitError(f"{len(times)} repetitions of rank {len(shape)}")
    return [tuple(product(each) for each in zip(shape, times, strict=True))]


def slice_static(layer: Layer, shapes: Shapes) -> Made:
    settings, shape = layer.settings, shapes[0]
    fields = (settings.beginIds, settings.endIds, settings.strides, settings.beginMasks, settings.endMasks)
    if any(len(field) != len(shape) for field in fields):
        raise UnfitError(f"slices of another rank than {len(shape)}")
    dropped = [axis for axis, gone in enumerate(settings.squeezeMasks) if gone]  # one entry is taken of these
    made = tuple(
        1 if axis in dropped else sliced(extent, None if open_begin else begin, None if open_end else end, stride)
        for axis, (extent, begin, end, stride, open_begin, open_end) in enumerate(zip(shape, *fields, strict=True))
    )
    return [without(made, dropped)]


def slice_dynamic(layer: Layer, shapes: Shapes) -> Made:
    settings, shape = layer.settings, shapes[0]
    whole = [*zip(settings.beginMasks, settings.endMasks)] if len(shapes) < 6 else []
    stride = [*settings.strides] or [1] * len(shape)
    made = tuple(
        extent if place < len(whole) and all(whole[place]) and stride[place] == 1 else None
        for place, extent in enumerate(shape)
    )
    squeezed = getattr(settings, "squeezeMasks", ())
    return [without(made, [axis for axis, gone in enumerate(squeezed) if gone])]


def slice_by_size(layer: Layer, shapes: Shapes) -> Made:
    return [replaced(shapes[0], layer.settings.axis, layer.settings.size)]


def sliding_windows(layer: Layer, shapes: Shapes) -> Made:
    shape, settings = shapes[0], layer.settings
    axis = axis_of(settings.axis, len(shape))
    windows = of_known(shape[axis], lambda known: (known - settings.windowSize) // max(1, settings.step) + 1)
    return [(*shape[:axis], windows, settings.windowSize, *shape[axis + 1 :])]


def top_k(layer: Layer, shapes: Shapes) -> Made:
    count = layer.settings.K if len(shapes) == 1 else None
    return [replaced(shapes[0], layer.settings.axis, count)] * len(layer.outputs)


def arg_best(layer: Layer, shapes: Shapes) -> Made:
    shape, axis = shapes[0], layer.settings.axis
    return [without(shape, [axis]) if layer.settings.removeDim else replaced(shape, axis, 1)]


def reduce(layer: Layer, shapes: Shapes) -> Made:
    settings, shape = layer.settings, shapes[0]
    if settings.reduceAll:
        return [(1,)]
    if not settings.keepDims:
        return [without(shape, settings.axes)]
    for axis in settings.axes:
        shape = replaced(shape, axis, 1)
    return [shape]


def shape_of(layer: Layer, shapes: Shapes) -> Made:
    return [(len(shapes[0]),)]


def squeeze(layer: Layer, shapes: Shapes) -> Made:
    shape = shapes[0]
    if not layer.settings.squeezeAll:
        return [without(shape, layer.settings.axes)]
    if None in shape:
        raise UnfitError("axes of which it isn't known whether they have one entry")
    return [without(shape, [axis for axis, extent in enumerate(shape) if extent == 1])]


def expand_dims(layer: Layer, shapes: Shapes) -> Made:
    shape, axes = list(shapes[0]), layer.settings.axes
    rank = len(shape) + len(axes)
    for axis in sorted(axis_of(each, rank) for each in axes):
        shape.insert(axis, 1)
    return [tuple(shape)]


def flatten_to_2d(layer: Layer, shapes: Shapes) -> Made:
    shape = shapes[0]
    axis = layer.settings.axis if layer.settings.axis == len(shape) else axis_of(layer.settings.axis, len(shape))
    return [(product(shape[:axis]), product(shape[axis:]))]


def reshape_dynamic(layer: Layer, shapes: Shapes) -> Made:
    return [of_rank(shapes[1])]


def constant_pad(layer: Layer, shapes: Shapes) -> Made:
    shape, amounts = shapes[0], list(map(int, layer.settings.padAmounts))
    if len(shapes) == 2:
        return [(None,) * len(shape)]
    if len(amounts) != 2 * len(shape):
        raise UnfitError(f"{len(amounts)} amounts for rank {len(shape)}")
    pairs = list(zip(shape, amounts[::2], amounts[1::2], strict=True))
    if layer.settings.padToGivenOutputSizeMode:
        return [tuple(None if extent is None else max(extent, *ends) for extent, *ends in pairs)]
    return [tuple(total(each) for each in pairs)]


def categorical(layer: Layer, shapes: Shapes) -> Made:
    return [(*shapes[0][:-1], layer.settings.numSamples)]


def where_non_zero(layer: Layer, shapes: Shapes) -> Made:
    return [(None, len(shapes[0]))]


def one_hot(layer: Layer, shapes: Shapes) -> Made:
    shape = shapes[0]
    if len(shapes) > 1:
        raise UnfitError("a size that is known only when the network runs")
    axis = axis_of(layer.settings.axis, len(shape) + 1)
    return [(*shape[:axis], layer.settings.oneHotVectorSize, *shape[axis:])]


def suppressed_boxes(layer: Layer, shapes: Shapes) -> Made:
    boxes, scores = shapes[:2]
    if len(boxes) != 3 or len(scores) != 3:
        raise UnfitError("boxes and scores of other ranks than 3")
    kept = layer.settings.maxBoxes if len(shapes) < 5 else None
    batch = boxes[0]
    return [(batch, kept, boxes[2]), (batch, kept, scores[2]), (batch, kept), (batch,)][: len(layer.outputs)]
