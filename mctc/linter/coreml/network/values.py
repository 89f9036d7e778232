"""Values of small tensors that are known before a network runs: shapes, and what is computed from them.

Converters write sizes into a network as tensors where a model has flexible shapes, loops or lists: getShape, slices and
sums of it, then a reshape. Only tensors of a few numbers are followed, and a number that isn't known is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.linter.coreml.network.extents import UnfitError
from mctc.package.network import Extents, Layer

Value = NDArray[np.float64]
MOST = 64
"""Numbers of a tensor that is followed."""
NOTHING: Value = np.empty(0)
"""The value of a tensor that isn't followed."""

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": np.add, "addBroadcastable": np.add, "multiply": np.multiply, "multiplyBroadcastable": np.multiply,
    "subtractBroadcastable": np.subtract, "divideBroadcastable": np.divide, "floorDivBroadcastable": np.floor_divide,
    "modBroadcastable": np.mod, "max": np.maximum, "maxBroadcastable": np.maximum, "min": np.minimum,
    "minBroadcastable": np.minimum, "equal": np.equal, "notEqual": np.not_equal, "lessThan": np.less,
    "lessEqual": np.less_equal, "greaterThan": np.greater, "greaterEqual": np.greater_equal,
    "logicalAnd": np.logical_and, "logicalOr": np.logical_or,
}  # fmt: skip
UNARY: dict[str, Callable[..., Any]] = {
    "floor": np.floor, "ceil": np.ceil, "round": np.round, "logicalNot": np.logical_not, "copy": np.array,
}  # fmt: skip
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "reduceSum": np.sum, "reduceMax": np.max, "reduceMin": np.min, "reduceProd": np.prod,
}  # fmt: skip
REARRANGED = ("squeeze", "expandDims", "reshapeStatic", "rankPreservingReshape", "flattenTo2D")
"""The result has the same numbers in the same order."""


def value_of(layer: Layer, values: Sequence[Value], shapes: Sequence[Extents | None], made: Extents | None) -> Value:
    """The value of a layer's first result, of the shape `made`; NOTHING where not even that many numbers are known."""
    rule = _rule(layer.type)
    blank = unknown(made)
    if rule is None:
        return blank
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(rule(layer, values, shapes), np.float64)
    except (UnfitError, IndexError, ValueError, TypeError):  # operands that do not fit, or too few
        return blank
    if found.size > MOST:
        return NOTHING
    found = np.where(np.isfinite(found), found, np.nan)
    return blank if made is None else _shaped(found, made)


def unknown(shape: Extents | None) -> Value:
    """The value of a tensor of which only the shape is known."""
    extents = [extent for extent in shape or () if extent is not None]
    if shape is None or len(extents) < len(shape) or max(prod(extents), *extents, 0) > MOST:
        return NOTHING
    return np.full(extents, np.nan)


def _shaped(value: Value, made: Extents) -> Value:
    """The value in the shape that the layer makes."""
    blank = unknown(made)
    return value.reshape(blank.shape) if blank.size == value.size else blank


Given = Sequence[Value]
Shaped = Sequence[Extents | None]
Rule = Callable[[Layer, Given, Shaped], Any]


def _rule(type_: str) -> Rule | None:
    if type_ in ELEMENTWISE:
        return _elementwise
    if type_ in UNARY:
        return lambda layer, values, _: _of_known(UNARY[layer.type], *_followed(values))
    if type_ in REDUCTIONS:
        return _reduced
    if type_ in REARRANGED:
        return lambda _, values, __: _followed(values)[0]
    return RULES.get(type_)


def _followed(values: Given) -> Given:
    """All operands. Raises UnfitError where one is no tensor of a few numbers."""
    if not values or any(value is NOTHING for value in values):
        raise UnfitError("an operand that isn't followed")
    return values


def _of_known(function: Callable[..., Any], *values: Value) -> Value:
    """The function's result, NaN wherever an operand is."""
    lost = np.isnan(values[0])
    for value in values[1:]:
        lost = lost | np.isnan(value)
    return np.where(lost, np.nan, np.asarray(function(*values), np.float64))


def _elementwise(layer: Layer, values: Given, _: Shaped) -> Value:
    first, *others = _followed(values)
    if not others:  # the other operand is a number of the layer
        if not hasattr(layer.settings, "alpha"):
            raise UnfitError("one operand alone")
        others = [np.asarray(layer.settings.alpha, np.float64)]
    for other in others:
        first = _of_known(ELEMENTWISE[layer.type], first, other)
    return first


def _reduced(layer: Layer, values: Given, _: Shaped) -> Any:
    (known,) = _followed(values)
    if not layer.settings.reduceAll and known.ndim != 1:
        raise UnfitError("a reduction of some axes")
    return [REDUCTIONS[layer.type](known)]


def _shape(_: Layer, __: Given, shapes: Shaped) -> Any:
    shape = shapes[0]
    if shape is None:
        raise UnfitError("an operand of no known shape")
    return [np.nan if extent is None else extent for extent in shape]


def _constant(layer: Layer, _: Given, __: Shaped) -> Any:
    """A constant whose few numbers were left in when the specification was thinned."""
    numbers = layer.settings.data.floatValue
    if len(numbers) != layer.parameters:
        raise UnfitError("numbers that weren't read")
    return numbers


def _joined(_: Layer, values: Given, __: Shaped) -> Any:
    if any(value.ndim != 1 for value in _followed(values)):
        raise UnfitError("tensors of several axes")
    return np.concatenate(values)


def _stacked(_: Layer, values: Given, __: Shaped) -> Any:
    if any(value.size != 1 for value in _followed(values)):
        raise UnfitError("tensors of several numbers")
    return np.concatenate([value.reshape(-1) for value in values])


def _picked(layer: Layer, values: Given, _: Shaped) -> Any:
    data, indices = _followed(values)
    if data.ndim != 1 or layer.settings.axis or np.any(np.isnan(indices)):
        raise UnfitError("indices that aren't known")
    return data[indices.astype(int)]


def _cut(layer: Layer, values: Given, _: Shaped) -> Any:
    (known,), settings = _followed(values), layer.settings
    if known.ndim != 1 or len(settings.beginIds) != 1:
        raise UnfitError("a slice of several axes")
    if settings.squeezeMasks and settings.squeezeMasks[0]:
        return known[[settings.beginIds[0]]]
    begin = None if settings.beginMasks[0] else settings.beginIds[0]
    end = None if settings.endMasks[0] else settings.endIds[0]
    return known[slice(begin, end, settings.strides[0])]


def _chosen(_: Layer, values: Given, __: Shaped) -> Any:
    asked, one, other = _followed(values)
    return np.where(np.isnan(asked), np.nan, np.where(asked != 0, one, other))


def _function(layer: Layer, values: Given, _: Shaped) -> Any:
    """The functions of the unary layer that converters divide sizes with."""
    settings = layer.settings
    x = _followed(values)[0] * (settings.scale or 1) + settings.shift
    functions = {0: np.sqrt(x), 2: 1 / (x + (settings.epsilon or 1e-6)), 3: x**settings.alpha, 6: np.abs(x)}
    if settings.type not in functions:
        raise UnfitError("another function")
    return functions[settings.type]


def _linear(layer: Layer, values: Given, _: Shaped) -> Any:
    if layer.settings.WhichOneof("NonlinearityType") != "linear":
        raise UnfitError("another activation")
    return _followed(values)[0] * layer.settings.linear.alpha + layer.settings.linear.beta


def _filled(layer: Layer, _: Given, __: Shaped) -> Any:
    blank = unknown(tuple(map(int, layer.settings.targetShape)))
    return np.full(blank.shape, layer.settings.value)


RULES: dict[str, Rule] = {
    "getShape": _shape,
    "loadConstantND": _constant,
    "concatND": _joined,
    "stack": _stacked,
    "gather": _picked,
    "sliceStatic": _cut,
    "fillStatic": _filled,
    "whereBroadcastable": _chosen,
    "unary": _function,
    "activation": _linear,
}
