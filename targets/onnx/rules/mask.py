"""Masks of frames with an axis for each of the operand that they belong to."""

from __future__ import annotations

from mctc.ir.dims import Extent
from mctc.ir.ops.mask import met
from mctc.ir.program import Value
from mctc.targets.onnx.graph import GraphEmitter
from mctc.targets.onnx.rules.axes import arranged


def marks_along(value: Value, of: Value, e: GraphEmitter) -> tuple[str, list[Extent]]:
    """The mask `value`, of 1 along the axes of `of` that it does not tell apart, and its extents."""
    order, extents = met(value.type, of.type)
    name = e.transposed(e.ref(value), order)
    return e.reshaped(name, arranged(value.type.extents, order), extents), extents
