"""The shape rule of every type of layer, and what is made of a layer without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mctc.linter.coreml.network import planes, sequences, tensors
from mctc.linter.coreml.network.extents import UnfitError
from mctc.package.network import Extents, Layer

Rule = Callable[[Layer, Sequence[Extents]], Sequence[Extents | None]]

UNARY = (
    "activation", "batchnorm", "mvn", "l2normalize", "softmax", "lrn", "unary", "scale", "bias", "copy", "clip", "ceil",
    "floor", "sign", "round", "exp2", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "erf", "gelu", "logicalNot", "scatter", "scatterND", "scatterAlongAxis", "softmaxND", "reverse",
    "reverseSeq", "fillLike", "randomNormalLike", "randomUniformLike", "randomBernoulliLike", "matrixBandPart",
    "lowerTriangular", "upperTriangular", "layerNormalization", "cumSum", "clampedReLU", "argSort",
)  # fmt: skip
"""The result has the shape of the first operand."""
ELEMENTWISE = (
    "add", "multiply", "average", "max", "min", "equal", "notEqual", "lessThan", "lessEqual", "greaterThan",
    "greaterEqual", "logicalOr", "logicalXor", "logicalAnd", "modBroadcastable", "minBroadcastable", "maxBroadcastable",
    "addBroadcastable", "powBroadcastable", "divideBroadcastable", "floorDivBroadcastable", "multiplyBroadcastable",
    "subtractBroadcastable", "whereBroadcastable",
)  # fmt: skip
REDUCTIONS = (
    "reduceL1", "reduceL2", "reduceMax", "reduceMin", "reduceSum", "reduceProd", "reduceMean", "reduceLogSum",
    "reduceSumSquare", "reduceLogSumExp",
)  # fmt: skip
CONTROL = ("branch", "loop", "loopBreak", "loopContinue")
"""What is inside these makes results, not they."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, tensors.like_first),
    **dict.fromkeys(ELEMENTWISE, planes.elementwise),
    **dict.fromkeys(REDUCTIONS, tensors.reduce),
    **dict.fromkeys(sequences.RECURRENT, sequences.recurrent),
    "convolution": planes.convolution,
    "pooling": planes.pooling,
    "innerProduct": planes.inner_product,
    "embedding": planes.embedding,
    "crop": planes.crop,
    "padding": planes.padding,
    "upsample": planes.upsample,
    "resizeBilinear": planes.resize,
    "cropResize": planes.crop_and_resize,
    "dot": planes.dot,
    "reduce": planes.reduce,
    "reorganizeData": planes.reorganize,
    "flatten": planes.flatten,
    "concat": planes.concat,
    "split": planes.split,
    "slice": planes.slice_of_planes,
    "convolution3d": planes.solid,
    "pooling3d": planes.solid,
    "globalPooling3d": planes.solid,
    "sequenceRepeat": sequences.repeated,
    "reshape": tensors.reshape,
    "permute": tensors.permute,
    "rangeStatic": tensors.range_static,
    "rangeDynamic": tensors.range_dynamic,
    "tile": tensors.tile,
    "stack": tensors.stack,
    "gather": tensors.gather,
    "gatherND": tensors.gather_nd,
    "gatherAlongAxis": tensors.like_second,
    "splitND": tensors.split,
    "concatND": tensors.concat,
    "transpose": tensors.transpose,
    "sliceStatic": tensors.slice_static,
    "sliceDynamic": tensors.slice_dynamic,
    "sliceBySize": tensors.slice_by_size,
    "slidingWindows": tensors.sliding_windows,
    "topK": tensors.top_k,
    "argMin": tensors.arg_best,
    "argMax": tensors.arg_best,
    "embeddingND": tensors.embedding,
    "batchedMatmul": tensors.matmul,
    "getShape": tensors.shape_of,
    "loadConstant": tensors.constant_planes,
    "loadConstantND": tensors.given_shape,
    "fillStatic": tensors.given_shape,
    "fillDynamic": tensors.filled,
    "broadcastToLike": tensors.like_second,
    "broadcastToStatic": tensors.given_shape,
    "broadcastToDynamic": tensors.broadcast_dynamic,
    "squeeze": tensors.squeeze,
    "expandDims": tensors.expand_dims,
    "flattenTo2D": tensors.flatten_to_2d,
    "reshapeLike": tensors.like_second,
    "reshapeStatic": tensors.reshape_static,
    "reshapeDynamic": tensors.reshape_dynamic,
    "rankPreservingReshape": tensors.reshape_keeping_rank,
    "constantPad": tensors.constant_pad,
    "randomNormalStatic": tensors.given_shape,
    "randomUniformStatic": tensors.given_shape,
    "randomBernoulliStatic": tensors.given_shape,
    "randomNormalDynamic": tensors.filled,
    "randomUniformDynamic": tensors.filled,
    "randomBernoulliDynamic": tensors.filled,
    "categoricalDistribution": tensors.categorical,
    "whereNonZero": tensors.where_non_zero,
    "oneHot": tensors.one_hot,
    "NonMaximumSuppression": tensors.suppressed_boxes,
}
BY_ITSELF = (
    "loadConstant", "loadConstantND", "fillStatic", "broadcastToStatic", "randomNormalStatic", "randomUniformStatic",
    "randomBernoulliStatic", "rangeStatic", "rangeDynamic",
)  # fmt: skip
"""Layers whose result has a shape that no operand changes."""


def made_by(layer: Layer, shapes: Sequence[Extents | None]) -> tuple[Extents | None, ...]:
    """The shapes of a layer's results; None for each that can't be told.

    They can't where no rule is known for the type, an operand's shape isn't known, or the rule and the operands do not
    fit. The shape that the file itself declares is taken then, where it does.
    """
    rule = RULES.get(layer.type)
    known = [shape for shape in shapes if shape is not None]
    made: Sequence[Extents | None] = ()
    if rule is not None and (len(known) == len(shapes) or layer.type in BY_ITSELF):
        try:
            made = rule(layer, known)
        except (UnfitError, IndexError, ValueError):  # too few operands, too
            made = ()
    return tuple(
        made[place] if place < len(made) and made[place] is not None else _declared(layer, place)
        for place in range(len(layer.outputs))
    )


def _declared(layer: Layer, place: int) -> Extents | None:
    return layer.declared[place] if place < len(layer.declared) else None
