"""Columns [1, C, 1, T], whose rows are T entries long, and the same with frames first, [1, T, 1, C]."""

from __future__ import annotations

import numpy as np

from mctc.hardware.cost import ROW
from mctc.ir.build import Builder
from mctc.ir.ops.linear import MatMul
from mctc.ir.ops.shape import Reshape, Transpose, laid_out
from mctc.ir.program import Value
from mctc.ir.types import Axis, Role, TensorType
from mctc.passes.layout import ONE, UNIT

FULL = ROW // 2
"""Entries of fp16 that fill a row of the engine."""
ORDER = (0, 3, 2, 1)
"""The order of the axes of either layout in the other."""
SEQUENCES = (Role.TIME, Role.LABEL, Role.UNIT)


def is_column(type_: TensorType) -> bool:
    """Whether it is [1, C, 1, T] of few frames."""
    if not laid_out(type_) or type_.rank != 4 or not type_.is_static or type_.roles[3] not in SEQUENCES:
        return False
    return type_.shape[0] == type_.shape[2] == 1 and type_.shape[3] < FULL


def is_strip(type_: TensorType) -> bool:
    """Whether it is [1, C, 1, 1] or [1, 1, 1, T], or a single number: turned it lies as before."""
    if not type_.rank:
        return True
    return type_.rank == 4 and type_.is_static and type_.size in (type_.shape[1], type_.shape[3])


def turned_type(type_: TensorType) -> TensorType:
    """The type of the other layout."""
    return type_.with_axes([type_.axes[at] for at in ORDER]) if type_.rank == 4 else type_


def turned_in(column: Value, b: Builder, *, known: bool) -> Value:
    """A column with frames first: in a product with a unit matrix where that moves entries. What is `known` when the
    model is compiled is transposed then."""
    type_ = column.type
    if known and not is_strip(type_):
        return b.op(Transpose, column, order=ORDER)
    if is_strip(type_):
        return b.reshaped(column, turned_type(type_))
    rows = b.reshaped(column, _flat(type_, type_.axes[1], type_.axes[3]))
    return b.reshaped(b.op(MatMul, _unit(b, type_.shape[3]), rows, transpose_right=True), turned_type(type_))


def turned_out(rows: Value, b: Builder) -> Value:
    """The column of what lies with frames first."""
    type_ = rows.type
    if is_strip(type_):
        return b.reshaped(rows, turned_type(type_))
    flat = b.op(Reshape, rows, axes=_stated(_flat(type_, type_.axes[1], type_.axes[3])))
    return b.reshaped(b.op(MatMul, flat, _unit(b, type_.shape[1]), transpose_left=True), turned_type(type_))


def _flat(type_: TensorType, first: Axis, second: Axis) -> TensorType:
    return type_.with_axes([ONE, UNIT, first, second])


def _stated(type_: TensorType) -> tuple[tuple[str, int], ...]:
    return tuple((axis.role.value, axis.extent.value) for axis in type_.axes)


def _unit(b: Builder, frames: int) -> Value:
    return b.constant(np.eye(frames, dtype=np.float32)[None, None])
