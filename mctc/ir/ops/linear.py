"""Dense projections, embedding and matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.example import Example, X
from mctc.ir.fields import flag, operand, optional_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.ir.value import Value


def channel_axis(type_: TensorType, operand: str = "x") -> int:
    """The position of the channels. Raises InferenceError that names `operand` where there are none."""
    index = type_.find(Role.CHANNEL)
    if index is None:
        raise InferenceError(f"{type_} has no channel axis", operand)
    return index


def check_bias(bias: Value | None, out: Axis) -> None:
    if bias is not None and bias.type.extents != (out.extent,):
        raise InferenceError(f"the bias has shape {bias.type}, but there are {out.extent} outputs", "bias")


def out_axis(weight: Axis) -> Axis:
    """The axis of a layer's outputs: output classes where the weight's first axis is a vocabulary, else channels."""
    return Axis(Role.VOCABULARY if weight.role is Role.VOCABULARY else Role.CHANNEL, weight.extent)


@declare
class Linear(Op):
    """x @ weight.T + bias over the channel axis; weight [out, in], bias [out]."""

    name = "linear"
    example = Example({"x": X, "w": "f32[16, 8]", "b": "f32[16]"}, ("linear(%x, %w, %b)",))
    x = operand()
    weight = operand()
    bias = optional_operand()
    takes = FLOATS
    matrices = {"weight": 0}

    def infer(self) -> Sequence[TensorType]:
        axis = channel_axis(self.x.type)
        if self.weight.type.rank != 2:
            raise InferenceError(f"the weight must be [out, in], not {self.weight.type}", "weight")
        out, into = self.weight.type.axes
        if into.extent != self.x.type.extents[axis]:
            raise InferenceError(
                f"the weight takes {into.extent} channels, but x has {self.x.type.extents[axis]}", "weight"
            )
        check_bias(self.bias, out)
        return (self.x.type.with_axis(axis, out_axis(out)),)

    def macs(self) -> int:
        return self.result.type.size * self.weight.type.shape[1]

    def reference(self, x: Array, weight: Array, bias: Array | None) -> Sequence[Array]:
        axis = channel_axis(self.x.type)
        y = np.moveaxis(x, axis, -1) @ weight.T
        return (np.moveaxis(y if bias is None else y + bias, -1, axis),)


@declare
class Embedding(Op):
    """Rows of table [entries, width] by token id; adds a channel axis (at the channel's place in a laid-out type).

    `host` leaves the lookup to who calls the function, on targets whose device has no good way of it: the artifact
    takes the rows in place of the ids (mctc.ir.lookups).
    """

    name = "embedding"
    example = Example({"token": "i32[batch B, label U] < 100", "table": "f32[100, 8]"}, ("embedding(%token, %table)",))
    token = operand()
    table = operand()
    matrices = {"table": 1}
    host = flag()

    def infer(self) -> Sequence[TensorType]:
        token, table = self.token.type, self.table.type
        if token.dtype is not DType.I32:
            raise InferenceError(f"token ids must be i32, not {token.dtype.value}", "token")
        if table.rank != 2:
            raise InferenceError(f"the table must be [entries, width], not {table}", "table")
        entries, width = table.extents
        known = token.bound is not None and token.bound.is_static and entries.is_static
        if known and token.bound is not None and token.bound.value > entries.value:
            raise InferenceError(f"token ids go up to {token.bound - 1}, but the table has {entries} rows", "table")
        channel = Axis(Role.CHANNEL, width)
        if Role.UNIT in token.roles:  # a laid-out token tensor keeps a unit axis where the channels go
            at = token.roles.index(Role.UNIT)
            return (TensorType(table.dtype, (*token.axes[:at], channel, *token.axes[at + 1 :])),)
        return (TensorType(table.dtype, (*token.axes, channel)),)

    def reference(self, token: Array, table: Array) -> Sequence[Array]:
        roles = self.token.type.roles
        if Role.UNIT in roles:
            return (looked_up(table, token, roles.index(Role.UNIT)),)
        return (table[np.asarray(token).astype(np.int64)],)


def looked_up(table: Array, ids: Array, at: int) -> Array:
    """Rows of a table [entries, width] by ids [..., 1, ...], whose axis `at` is where the channels go."""
    return np.moveaxis(table[np.take(ids, 0, axis=at).astype(np.int64)], -1, at)


@declare
class MatMul(Op):
    """Product over the last axis of left and the last but one of right; leading axes broadcast by position.

    `transpose_left` and `transpose_right` exchange the last two axes of an operand before that.
    """

    name = "matmul"
    example = Example({"x": X, "y": "f32[8, 16]"}, ("matmul(%x, %y)",))
    left = operand()
    right = operand()
    takes = FLOATS
    transpose_left = flag()
    transpose_right = flag()

    def turned(self) -> tuple[TensorType, TensorType]:
        """The types of both operands as they are multiplied."""
        types = []
        for name, type_, transposed in (
            ("left", self.left.type, self.transpose_left),
            ("right", self.right.type, self.transpose_right),
        ):
            if type_.rank < 2:
                raise InferenceError(f"{type_} has less than two axes", name)
            if transposed:
                type_ = type_.with_axes((*type_.axes[:-2], type_.axes[-1], type_.axes[-2]))
            types.append(type_)
        return types[0], types[1]

    def infer(self) -> Sequence[TensorType]:
        left, right = self.turned()
        if left.extents[-1] != right.extents[-2]:
            raise InferenceError(f"cannot multiply {left} by {right}", "right")
        if left.rank < right.rank or any(
            a != b and b.value != 1 for a, b in zip(left.extents[-3::-1], right.extents[-3::-1]) if b.is_static
        ):
            raise InferenceError(f"the leading axes of {right} do not broadcast to those of {left}", "right")
        last = right.axes[-1]
        role = left.axes[-1].role if last.role is Role.PLAIN else last.role
        return (left.with_axis(left.rank - 1, Axis(role, last.extent)),)

    def macs(self) -> int:
        return self.result.type.size * self.left.type.shape[-2 if self.transpose_left else -1]

    def reference(self, left: Array, right: Array) -> Sequence[Array]:
        left = np.swapaxes(left, -1, -2) if self.transpose_left else left
        right = np.swapaxes(right, -1, -2) if self.transpose_right else right
        return (np.matmul(left, right),)

    def behaviour(self) -> TimeBehaviour:
        role = self.left.type.sequence_role or self.right.type.sequence_role
        return POINTWISE if role is None else self.behaviour_along(role)

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        left, right = self.turned()
        pairs = right.roles[-1] is role and left.find(role) is not None
        if pairs or role in (left.roles[-1], right.roles[-2]):
            return Whole("each product sums over, or pairs, all frames; `attention` has a form with a bounded view")
        return POINTWISE
