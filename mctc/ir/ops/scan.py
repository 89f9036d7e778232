"""The selective scan of Mamba."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import Example, X
from mctc.ir.fields import mask_operand, operand, optional_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.ops.recurrent import check_state
from mctc.ir.ops.shape import laid_out
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import Axis, Role, TensorType

AXES = (Role.BATCH, Role.UNIT)  # beside frames and channels
MACS_PER_STATE = 3  # for an entry of a scan's state and a frame


def scan_state_type(x: TensorType, states: Extent) -> TensorType:
    """[batch, channel D, feature N]; where x has a unit axis, [batch, channel D, unit, feature N].

    Raises InferenceError for an axis that would be none of the state's.
    """
    other = [a for i, a in enumerate(x.axes) if i != x.sequence and a.role not in AXES and not a.role.is_channel]
    if other:
        raise InferenceError(f"a scan takes a batch, frames and channels, and {x} has the axis {other[0]} too", "x")
    at = x.find(Role.CHANNEL)
    assert at is not None
    channel, feature = x.axes[at], Axis(Role.FEATURE, states)
    batch = [axis for axis in x.axes if axis.role is Role.BATCH]
    unit = [Axis(Role.UNIT, Extent.of(1))] if _has_unit(x) else []
    return x.with_axes([*batch, Axis(Role.CHANNEL, channel.extent), *unit, feature])


def _has_unit(x: TensorType) -> bool:
    """Whether a layout gave x a unit axis: channels first, or frames first as (batch, frames, unit, channel)."""
    return laid_out(x) or (x.rank == 4 and x.roles[2] is Role.UNIT)


def check_one_sequence(x: TensorType) -> None:
    """Raises InferenceError where x has labels beside time: the state of a scan has no axis for them."""
    if x.find(Role.TIME) is not None and x.find(Role.LABEL) is not None:
        raise InferenceError(
            f"{x} has time and labels, and a scan runs along one sequence", "x", "scan before they meet"
        )


@declare
class SelectiveScan(Op):
    """h(t) = exp(delta(t) * A) * h(t-1) + delta(t) * B(t) * x(t);  y(t) = sum over n of C(t) * h(t) + D * x(t).

    x, delta [.., T, D]; A [D, N]; B, C [.., T, N] (N as channels); D [D]; state h [batch, D, N]. Results y and h.
    Mamba (Gu & Dao, 2023), equation 2 with the zero-order hold for A and the Euler rule for B, as its code has it.
    A frame of 0 in `mask` [T] or [batch, T] has a step size of 0: h stays as it was, and y reads it.
    """

    name = "selective_scan"
    example = Example(
        {"x": X, "delta": X, "A": "f32[8, 4]", "B": "f32[batch B, time T, channel 4]", "D": "f32[8]"},
        ("%0, %1 = selective_scan(%x, %delta, %A, %B, %B, %D)",),
    )
    x = operand()
    delta = operand()
    A = operand()
    B = operand()
    C = operand()
    D = optional_operand()
    h = optional_operand()
    mask = mask_operand()
    takes = FLOATS

    def infer(self) -> Sequence[TensorType]:
        x, at = self.x.type, channel_axis(self.x.type)
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to scan along", "x")
        check_one_sequence(x)
        if self.delta.type.extents != x.extents:
            raise InferenceError(f"delta must have the shape of x, {x}, not {self.delta.type}", "delta")
        if self.A.type.rank != 2 or self.A.type.extents[0] != x.extents[at]:
            raise InferenceError(f"A must be [{x.extents[at]}, states], not {self.A.type}", "A")
        states = self.A.type.extents[1]
        for name, type_ in (("B", self.B.type), ("C", self.C.type)):
            if type_ != x.with_axis(at, Axis(Role.CHANNEL, states)):
                raise InferenceError(f"{name} must have {states} channels and the frames of x, not {type_}", name)
        if self.D is not None and self.D.type.extents != (x.extents[at],):
            raise InferenceError(f"D must be [{x.extents[at]}], not {self.D.type}", "D")
        state = scan_state_type(x, states)
        check_state(self, "h", state)
        check_mask(self.mask, x)
        return (x, state)

    def reference(
        self,
        x: Array,
        delta: Array,
        a: Array,
        b: Array,
        c: Array,
        d: Array | None,
        h: Array | None,
        mask: Array | None,
    ) -> Sequence[Array]:
        at, time = channel_axis(self.x.type), self.x.type.sequence
        assert time is not None
        u, dt, b, c = (np.moveaxis(v, (time, at), (0, -1)) for v in (x, delta, b, c))  # T, rest, D or N
        if self.mask is not None and mask is not None:
            dt = dt * np.moveaxis(mask_along(self.mask.type, self.x.type, mask), (time, at), (0, -1))
        shape = (*u.shape[1:], a.shape[1])
        carried = np.zeros(shape, u.dtype) if h is None else h.reshape(shape)
        outputs = np.empty_like(u)
        for t in range(u.shape[0]):
            carried = np.exp(dt[t][..., None] * a) * carried + (dt[t] * u[t])[..., None] * b[t][..., None, :]
            outputs[t] = np.einsum("...dn,...n->...d", carried, c[t])
        y = outputs if d is None else outputs + u * d
        state = carried.reshape(carried.shape[0], *([1] * 0), *carried.shape[-2:]) if carried.ndim > 2 else carried
        if _has_unit(self.x.type):
            state = state[:, :, None, :]
        return (np.moveaxis(y, (0, -1), (time, at)), state)

    def macs(self) -> int:
        """The decayed state, the product of input and B that is added to it, and the product with C; and D's."""
        size = self.result.type.size
        return MACS_PER_STATE * size * self.A.type.shape[1] + (0 if self.D is None else size)

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((("h", 1),), "mask")
