"""Shape rules of layers whose result has a shape that depends on the value of an operand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mctc.linter.coreml.network.extents import UnfitError, reshaped, sliced, without
from mctc.linter.coreml.network.values import NOTHING, Value
from mctc.package.network import Extents, Layer

ROUNDING = 1e-3
Shaped = Sequence[Extents | None]
Known = Sequence[Value]


def shape_by_value(layer: Layer, shapes: Shaped, values: Known) -> Extents | None:
    """The shape of a layer's result where the value of an operand tells it; None where none does."""
    rule = RULES.get(layer.type)
    if rule is None:
        return None
    try:
        return rule(layer, shapes, values)
    except (UnfitError, IndexError, ValueError):  # values that do not fit, or too few operands
        return None


def _numbers(values: Known, place: int) -> list[int | None]:
    """The whole numbers that an operand holds, None for each that isn't known. Raises UnfitError for no such value."""
    value = values[place]
    if value is NOTHING:
        raise UnfitError("a tensor that isn't followed")
    return [_whole(number) for number in value.reshape(-1)]


def _whole(number: float) -> int | None:
    """The whole number that a division may have missed by a rounding."""
    return round(number) if not np.isnan(number) and abs(number - round(number)) < ROUNDING else None


def _all(values: Known, place: int) -> list[int]:
    """The same, where every number is known. Raises UnfitError."""
    found = [number for number in _numbers(values, place) if number is not None]
    if len(found) < values[place].size:
        raise UnfitError("a number that isn't known")
    return found


def _shape(shapes: Shaped, place: int) -> Extents:
    shape = shapes[place]
    if shape is None:
        raise UnfitError("a shape that isn't known")
    return shape


def _extents(values: Known, place: int) -> Extents:
    """The shape that an operand holds. Raises UnfitError for one that no tensor has."""
    found = tuple(_numbers(values, place))
    if any(extent is not None and extent < 1 for extent in found):
        raise UnfitError(f"a shape {found}")
    return found


def _filled(_: Layer, __: Shaped, values: Known) -> Extents:
    return _extents(values, 0)


def _broadcast(_: Layer, __: Shaped, values: Known) -> Extents:
    return _extents(values, 1)


def _reshaped(_: Layer, shapes: Shaped, values: Known) -> Extents:
    target = _numbers(values, 1)
    if None in target:  # which of them -1 would be isn't known either
        return tuple(extent if extent is not None and extent > 0 else None for extent in target)
    return reshaped(_shape(shapes, 0), _all(values, 1))


def _tiled(_: Layer, shapes: Shaped, values: Known) -> Extents:
    pairs = zip(_shape(shapes, 0), _extents(values, 1), strict=True)
    return tuple(None if extent is None or times is None else extent * times for extent, times in pairs)


def _sliced(layer: Layer, shapes: Shaped, values: Known) -> Extents:
    """Operands behind the tensor: begin, then end, strides, masks of both, and of what is squeezed."""
    shape, settings = _shape(shapes, 0), layer.settings
    fields = (settings.endIds, settings.strides, settings.beginMasks, settings.endMasks, settings.squeezeMasks)
    begin = _all(values, 1)
    end, stride, from_start, to_end, gone = (
        _all(values, place) if place < len(values) else [int(each) for each in field]
        for place, field in enumerate(fields, 2)
    )
    dropped = [axis for axis in range(len(shape)) if _at(gone, axis, 0)]  # one entry is taken of these
    made = tuple(
        1
        if axis in dropped
        else sliced(
            extent,
            None if _at(from_start, axis, 0) else _at(begin, axis, None),
            None if _at(to_end, axis, 0) else _at(end, axis, None),
            _at(stride, axis, 1),
        )
        for axis, extent in enumerate(shape)
    )
    return without(made, dropped)


def _at(numbers: Sequence[int], place: int, otherwise: int | None) -> Any:
    return numbers[place] if place < len(numbers) else otherwise


RULES: Mapping[str, Callable[[Layer, Shaped, Known], Extents]] = {
    "reshapeDynamic": _reshaped,
    "fillDynamic": _filled,
    "randomNormalDynamic": _filled,
    "randomUniformDynamic": _filled,
    "randomBernoulliDynamic": _filled,
    "broadcastToDynamic": _broadcast,
    "tile": _tiled,
    "sliceDynamic": _sliced,
}
