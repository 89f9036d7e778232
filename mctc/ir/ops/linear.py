"""Dense projections, embedding and matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.op import FLOATS, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.time import POINTWISE, TimeBehaviour, Whole
from mctc.ir.types import Axis, DType, Role, TensorType


def channel_axis(s: Signature, operand: str) -> int:
    index = s[operand].find(Role.CHANNEL)
    if index is None:
        raise InferenceError(f"{s[operand]} has no channel axis", operand)
    return index


def check_bias(s: Signature, out: Axis) -> None:
    if "bias" in s and s["bias"].extents != (out.extent,):
        raise InferenceError(f"the bias has shape {s['bias']}, but there are {out.extent} outputs", "bias")


def out_axis(weight: Axis) -> Axis:
    """The axis of a layer's outputs: output classes where the weight's first axis is a vocabulary, else channels."""
    return Axis(Role.VOCABULARY if weight.role is Role.VOCABULARY else Role.CHANNEL, weight.extent)


@declare
class Linear(OpDef):
    """x @ weight.T + bias over the channel axis; weight [out, in], bias [out]."""

    name = "linear"
    operands = "x weight bias?"
    takes = FLOATS

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        axis = channel_axis(s, "x")
        if s["weight"].rank != 2:
            raise InferenceError(f"the weight must be [out, in], not {s['weight']}", "weight")
        out, into = s["weight"].axes
        if into.extent != s["x"].extents[axis]:
            raise InferenceError(f"the weight takes {into.extent} channels, but x has {s['x'].extents[axis]}", "weight")
        check_bias(s, out)
        return (s["x"].with_axis(axis, out_axis(out)),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, weight, bias = operands
        axis = channel_axis(s, "x")
        y = np.moveaxis(x, axis, -1) @ weight.T
        return (np.moveaxis(y if bias is None else y + bias, -1, axis),)


@declare
class Embedding(OpDef):
    """Rows of table [entries, width] by token id; adds a channel axis (at the channel's place in a laid-out type).

    `host` leaves the lookup to who calls the function, on targets whose device has no good way of it: the artifact
    takes the rows in place of the ids (mctc.ir.lookups).
    """

    name = "embedding"
    operands = "token table"
    attributes = {"host": False}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        token, table = s["token"], s["table"]
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

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        token, table = operands
        roles = s["token"].roles
        if Role.UNIT in roles:
            return (looked_up(table, token, roles.index(Role.UNIT)),)
        return (table[np.asarray(token).astype(np.int64)],)


def looked_up(table: Array, ids: Array, at: int) -> Array:
    """Rows of a table [entries, width] by ids [..., 1, ...], whose axis `at` is where the channels go."""
    return np.moveaxis(table[np.take(ids, 0, axis=at).astype(np.int64)], -1, at)


@declare
class MatMul(OpDef):
    """Product over the last axis of left and the last but one of right; leading axes broadcast by position.

    `transpose_left` and `transpose_right` exchange the last two axes of an operand before that.
    """

    name = "matmul"
    operands = "left right"
    takes = FLOATS
    attributes = {"transpose_left": False, "transpose_right": False}

    @classmethod
    def turned(cls, s: Signature) -> tuple[TensorType, TensorType]:
        """The types of both operands as they are multiplied."""
        types = []
        for operand in ("left", "right"):
            type_ = s[operand]
            if type_.rank < 2:
                raise InferenceError(f"{type_} has less than two axes", operand)
            if s.attribute(f"transpose_{operand}"):
                type_ = type_.with_axes((*type_.axes[:-2], type_.axes[-1], type_.axes[-2]))
            types.append(type_)
        return types[0], types[1]

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        left, right = cls.turned(s)
        if left.extents[-1] != right.extents[-2]:
            raise InferenceError(f"cannot multiply {left} by {right}", "right")
        if left.rank < right.rank or any(
            a != b and b.value != 1 for a, b in zip(left.extents[-3::-1], right.extents[-3::-1]) if b.is_static
        ):
            raise InferenceError(f"the leading axes of {right} do not broadcast to those of {left}", "right")
        last = right.axes[-1]
        role = left.axes[-1].role if last.role is Role.PLAIN else last.role
        return (left.with_axis(left.rank - 1, Axis(role, last.extent)),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        left, right = operands
        left = np.swapaxes(left, -1, -2) if s.attribute("transpose_left") else left
        right = np.swapaxes(right, -1, -2) if s.attribute("transpose_right") else right
        return (np.matmul(left, right),)

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        role = s["left"].sequence_role or s["right"].sequence_role
        return POINTWISE if role is None else cls.along(s, role)

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        left, right = cls.turned(s)
        pairs = right.roles[-1] is role and left.find(role) is not None
        if pairs or role in (left.roles[-1], right.roles[-2]):
            return Whole("each product sums over, or pairs, all frames; `attention` has a form with a bounded view")
        return POINTWISE
