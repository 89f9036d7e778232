"""Shapes of what ops make that compute something: a function an op, of the same operands, arrays and stand-ins.

A result is the extents of each output. ValueError tells that the operands don't fit together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, prod
from typing import Any

import numpy as np

from mctc.evaluate.coreml.ops.arguments import flag, integer, integers
from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.coreml.shapes import spatial
from mctc.evaluate.coreml.shapes.known import UNKNOWN, Extents, Undetermined, is_open

Rule = Callable[..., list[Extents]]


def broadcast(*shapes: Sequence[int]) -> Extents:
    """The common shape. Raises ValueError where there is none."""
    found = []
    for place in range(-max(map(len, shapes), default=0), 0):
        extents = {shape[place] for shape in shapes if len(shape) >= -place} - {1}
        known = {extent for extent in extents if not is_open(extent)}
        if len(known) > 1:
            raise ValueError(f"{' and '.join(str(list(shape)) for shape in shapes)} don't fit together")
        found.append(known.pop() if known else UNKNOWN if extents else 1)
    return tuple(found)


def _as(operand: str) -> Rule:
    """The shape of an operand."""

    def rule(**operands: Any) -> list[Extents]:
        return [operands[operand].shape]

    return rule


def _all(*names: str) -> Rule:
    """The broadcast shape of operands; none of them may be a list."""

    def rule(**operands: Any) -> list[Extents]:
        return [broadcast(*(operands[name].shape for name in names if name in operands))]

    return rule


def _select(cond: Array, a: Array | None = None, b: Array | None = None) -> list[Extents]:
    if a is None or b is None:
        return [(UNKNOWN, cond.ndim)]
    return [broadcast(cond.shape, a.shape, b.shape)]


def _reduced(x: Array, axes: Sequence[int], keep: bool) -> list[Extents]:
    gone = {axis % x.ndim for axis in axes} if x.ndim else set[int]()
    extents = ((1 if axis in gone else extent) for axis, extent in enumerate(x.shape) if keep or axis not in gone)
    return [tuple(extents)]


def _reduce(x: Array, axes: Any = None, keep_dims: Any = False) -> list[Extents]:
    return _reduced(x, range(x.ndim) if axes is None else integers(axes), flag(keep_dims))


def _argument(x: Array, axis: Any = -1, keep_dims: Any = False, **_: Any) -> list[Extents]:
    return _reduced(x, [integer(axis)], flag(keep_dims))


def _linear(x: Array, weight: Array, **_: Any) -> list[Extents]:
    _same_extent(x.shape[-1], weight.shape[1], x, weight)
    return [(*x.shape[:-1], weight.shape[0])]


def _same_extent(one: int, other: int, a: Array, b: Array) -> None:
    if one != other and not is_open(one) and not is_open(other):
        raise ValueError(f"{list(a.shape)} and {list(b.shape)} don't fit together")


def _turned(shape: Extents) -> Extents:
    return (*shape[:-2], shape[-1], shape[-2])


def _matmul(x: Array, y: Array, transpose_x: Any = False, transpose_y: Any = False) -> list[Extents]:
    left, right = x.shape, y.shape
    if x.ndim > 1 and flag(transpose_x):
        left = _turned(left)
    if y.ndim > 1 and flag(transpose_y):
        right = _turned(right)
    rows, columns = left[-2:-1], right[-1:] if y.ndim > 1 else ()
    _same_extent(left[-1], right[-2] if y.ndim > 1 else right[0], x, y)
    return [(*broadcast(left[:-2], right[:-2]), *rows, *columns)]


def _einsum(values: list[Array], equation: str) -> list[Extents]:
    terms, arrow, result = equation.replace(" ", "").partition("->")
    if not arrow or "." in equation:
        raise Undetermined
    extents: dict[str, set[int]] = {}
    for letters, value in zip(terms.split(","), values, strict=True):
        for letter, extent in zip(letters, value.shape, strict=True):
            extents.setdefault(letter, set()).add(extent)
    return [tuple(broadcast(*((extent,) for extent in extents[letter]))[0] for letter in result)]


def _attention(query: Array, key: Array, value: Array, **_: Any) -> list[Extents]:
    return [(*broadcast(query.shape[:-2], key.shape[:-2], value.shape[:-2]), query.shape[-2], value.shape[-1])]


def _recurrent(x: Array, initial_h: Array, output_sequence: Any = False, **_: Any) -> list[Extents]:
    """Outputs over time, the last hidden state, and the last cell state (only an lstm declares it)."""
    steps = x.shape[0] if flag(output_sequence) else 1
    return [(steps, x.shape[1], initial_h.shape[-1]), initial_h.shape, initial_h.shape]


def _concat(values: list[Array], axis: Any, interleave: Any = False) -> list[Extents]:
    if values[0].ndim == 0:
        return [(len(values),)]
    place = integer(axis) % values[0].ndim
    if len({value.ndim for value in values}) > 1:
        raise ValueError(f"{' and '.join(str(list(value.shape)) for value in values)} don't fit together")
    merged = []
    for axis_, extents in enumerate(zip(*(value.shape for value in values), strict=True)):
        known = {extent for extent in extents if not is_open(extent)}
        if axis_ == place:
            merged.append(sum(extents))
        elif len(known) > 1:
            raise ValueError(f"{' and '.join(str(list(value.shape)) for value in values)} don't fit together")
        else:
            merged.append(known.pop() if known else UNKNOWN)
    return [tuple(merged)]


def _stack(values: list[Array], axis: Any) -> list[Extents]:
    (shape,) = {value.shape for value in values}
    place = integer(axis) % (len(shape) + 1)
    return [(*shape[:place], len(values), *shape[place:])]


def _tile(x: Array, reps: Any) -> list[Extents]:
    return [tuple(extent * count for extent, count in zip(x.shape, integers(reps), strict=True))]


def _pad(x: Array, pad: Any, **_: Any) -> list[Extents]:
    flat = integers(pad)
    kept = x.ndim - len(flat) // 2
    rows = zip(x.shape[kept:], flat[::2], flat[1::2], strict=True)
    return [(*x.shape[:kept], *(extent + before + after for extent, before, after in rows))]


def _gather(x: Array, indices: Array, axis: Any = 0, batch_dims: Any = 0, **_: Any) -> list[Extents]:
    place, batch = integer(axis) % x.ndim, integer(batch_dims)
    return [(*x.shape[:place], *indices.shape[batch:], *x.shape[place + 1 :])]


def _gather_nd(x: Array, indices: Array, batch_dims: Any = 0, **_: Any) -> list[Extents]:
    return [(*indices.shape[:-1], *x.shape[integer(batch_dims) + indices.shape[-1] :])]


def _topk(x: Array, k: Any = 1, axis: Any = -1, **_: Any) -> list[Extents]:
    place, count = integer(axis) % x.ndim, integer(k)
    extent = x.shape[place] if count == -1 else count
    if extent > x.shape[place]:
        raise ValueError(f"{extent} elements are wanted of an axis of {x.shape[place]}")
    return [(*x.shape[:place], extent, *x.shape[place + 1 :])] * 2


def _one_hot(indices: Array, one_hot_vector_size: Any, axis: Any = -1, **_: Any) -> list[Extents]:
    place = integer(axis) % (indices.ndim + 1)
    return [(*indices.shape[:place], integer(one_hot_vector_size), *indices.shape[place:])]


def _of_shape(shape: Any, **_: Any) -> list[Extents]:
    return [tuple(integers(shape))]


def _categorical(x: Array, size: Any = 1, **_: Any) -> list[Extents]:
    return [(*x.shape[:-1], integer(size))]


def _suppressed(boxes: Array, scores: Array, max_boxes: Any, score_threshold: Any = None, **_: Any) -> list[Extents]:
    count, batch = integer(max_boxes), boxes.shape[0]
    if score_threshold is not None:
        return [(batch, count, 4), (batch, count, scores.shape[-1]), (batch, count), (batch,)]
    return [(batch, 4, count), (batch, scores.shape[1], count), (batch, count)]


def _range(end: Any, start: Any, step: Any) -> list[Extents]:
    """As many as np.arange gives."""
    last, first, stride = (float(np.asarray(value).reshape(-1)[0]) for value in (end, start, step))
    return [(max(0, ceil((last - first) / stride)),)]


def _make_list(elem_shape: Any = (), **_: Any) -> Extents:
    """The extents of an element: numbers, or names where converting the model left them open."""
    extents = [each for value in elem_shape for each in (value.reshape(-1) if hasattr(value, "reshape") else [value])]
    return tuple(UNKNOWN if isinstance(extent, str) else integer(extent) for extent in extents)


LISTS: dict[str, Callable[..., Extents]] = {
    "make_list": _make_list,
    "list_read": lambda ls, **_: ls.shape,
    "list_gather": lambda ls, indices: (*indices.shape, *ls.shape),
    "list_write": lambda value, **_: value.shape,
    "list_scatter": lambda value, **_: value.shape[1:],
    "list_length": lambda **_: (),
}
"""Ops on lists: the shape of an element where they give a list, of the result where they give a tensor."""
UNARY = (
    "abs", "acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "exp2", "floor", "identity", "inverse",
    "log", "logical_not", "round", "rsqrt", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "clip", "threshold",
    "cast", "sigmoid", "silu", "relu", "relu6", "leaky_relu", "clamped_relu", "thresholded_relu", "prelu", "elu",
    "gelu", "softplus", "softplus_parametric", "softsign", "scaled_tanh", "sigmoid_hard", "linear_activation",
    "softmax", "layer_norm", "batch_norm", "instance_norm", "l2_norm", "local_response_norm", "cumsum", "band_part",
    "argsort", "reverse_sequence", "slice_update",
)  # fmt: skip
"""Ops whose result has the shape of `x`."""
BINARY = (
    "add", "sub", "mul", "maximum", "minimum", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal",
    "logical_and", "logical_or", "logical_xor", "real_div", "floor_div", "mod", "pow",
)  # fmt: skip
REDUCTIONS = (
    "reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod", "reduce_l1_norm", "reduce_l2_norm",
    "reduce_sum_square", "reduce_log_sum", "reduce_log_sum_exp",
)  # fmt: skip
RULES: dict[str, Rule] = {
    **dict.fromkeys(UNARY, _as("x")),
    **dict.fromkeys(BINARY, _all("x", "y")),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("reduce_argmax", "reduce_argmin"), _argument),
    **dict.fromkeys(("quantize", "dequantize"), _as("input")),
    **dict.fromkeys(("scatter", "scatter_along_axis", "scatter_nd"), _as("data")),
    **dict.fromkeys(("lstm", "gru", "rnn"), _recurrent),
    **dict.fromkeys(("max_pool", "avg_pool", "l2_pool"), spatial.pool),
    **dict.fromkeys(("resize_nearest_neighbor", "resize_bilinear"), spatial.resized),
    **dict.fromkeys(("upsample_nearest_neighbor", "upsample_bilinear"), spatial.upsampled),
    **dict.fromkeys(("fill", "random_bernoulli", "random_normal", "random_uniform"), _of_shape),
    "fill_like": _as("ref_tensor"),
    "select": _select,
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "conv": spatial.conv,
    "conv_transpose": spatial.conv_transpose,
    "resize": spatial.resize,
    "crop_resize": spatial.crop_resize,
    "resample": spatial.resample,
    "affine": spatial.affine,
    "space_to_batch": spatial.space_to_batch,
    "concat": _concat,
    "stack": _stack,
    "tile": _tile,
    "pad": _pad,
    "gather": _gather,
    "gather_along_axis": _as("indices"),
    "gather_nd": _gather_nd,
    "topk": _topk,
    "one_hot": _one_hot,
    "range_1d": _range,
    "non_zero": lambda x: [(UNKNOWN, x.ndim)],
    "random_categorical": _categorical,
    "classify": lambda probabilities, **_: [(), (prod(probabilities.shape),)],
    "non_maximum_suppression": _suppressed,
}
MOVES = frozenset((
    "reshape", "reshape_like", "transpose", "expand_dims", "squeeze", "flatten2d", "split", "slice_by_index",
    "slice_by_size", "sliding_windows", "crop", "reverse", "depth_to_space", "space_to_depth", "pixel_shuffle",
    "pixel_unshuffle", "batch_to_space",
))  # fmt: skip
"""Ops that make views of what they take: they are asked themselves."""
