"""The structured state space duality (SSD) of Mamba-2: a selective scan with one decay a head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import Example, X
from mctc.ir.fields import count, mask_operand, operand, optional_operand
from mctc.ir.op import FLOATS, Array, InferenceError, Op, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.ops.recurrent import check_state
from mctc.ir.ops.scan import MACS_PER_STATE, check_one_sequence, scan_state_type
from mctc.ir.ops.shape import laid_out
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import Axis, Role, TensorType
from mctc.records import dataclass


@dataclass(frozen=True)
class Sizes:
    """Heads H of P channels each, in G groups that share B and C; N states a channel."""

    heads: int
    width: int
    groups: int
    states: int

    @staticmethod
    def of(op: Ssd) -> Sizes:
        """Raises InferenceError where the operands don't divide into heads and groups."""
        groups, a = op.groups, op.A.type
        if a.rank != 1:
            raise InferenceError(f"A must have one entry a head, not {a}", "A")
        channels, heads = op.x.type.extents[channel_axis(op.x.type)].value, a.extents[0].value
        both = op.B.type.extents[channel_axis(op.B.type, "B")].value
        if channels % heads:
            raise InferenceError(f"{channels} channels do not divide into {heads} heads", "x")
        if heads % groups:
            raise InferenceError(f"{heads} heads do not divide into {groups} groups", "A")
        if both % groups:
            raise InferenceError(f"the {both} channels of B do not divide into {groups} groups", "B")
        return Sizes(heads, channels // heads, groups, both // groups)


@declare
class Ssd(Op):
    """h(t) = exp(delta(t) * A) * h(t-1) + delta(t) * x(t) B(t)^T;  y(t) = h(t) C(t) + D * x(t), for each head.

    x [.., T, H * P]; delta [.., T, H]; A, D [H]; B, C [.., T, G * N], those of a group for H / G heads; state h
    [batch, H * P, N]. Results y and h. Mamba-2 (Dao & Gu, 2024): the selective state space model whose A is a number
    times the identity. `mask` as in `selective_scan`.
    """

    name = "ssd"
    example = Example(
        {"x": X, "delta": "f32[batch B, time T, channel 2]", "A": "f32[2]", "B": "f32[batch B, time T, channel 4]"},
        ("%0, %1 = ssd(%x, %delta, %A, %B, %B)",),
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
    groups = count(1)

    def infer(self) -> Sequence[TensorType]:
        x, at = self.x.type, channel_axis(self.x.type)
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to scan along", "x")
        check_one_sequence(x)
        sizes = Sizes.of(self)
        both = sizes.groups * sizes.states
        for name, type_, channels in (
            ("delta", self.delta.type, sizes.heads),
            ("B", self.B.type, both),
            ("C", self.C.type, both),
        ):
            wanted = x.with_axis(at, Axis(Role.CHANNEL, Extent.of(channels)))
            if type_ != wanted:
                raise InferenceError(f"{name} must be {wanted}, not {type_}", name)
        if self.D is not None and self.D.type.extents != self.A.type.extents:
            raise InferenceError(f"D must have one entry a head, {sizes.heads}, not {self.D.type}", "D")
        state = scan_state_type(x, Extent.of(sizes.states))
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
        at, time, n = channel_axis(self.x.type), self.x.type.sequence, Sizes.of(self)
        assert time is not None
        u, dt, b, c = (np.moveaxis(v, (time, at), (0, -1)) for v in (x, delta, b, c))  # T, rest, channels
        if self.mask is not None and mask is not None:
            dt = dt * np.moveaxis(mask_along(self.mask.type, self.x.type, mask), (time, at), (0, -1))
        rest = u.shape[1:-1]
        u = u.reshape(*u.shape[:-1], n.heads, n.width)
        b, c = (np.repeat(v.reshape(*v.shape[:-1], n.groups, n.states), n.heads // n.groups, -2) for v in (b, c))
        carried = np.zeros((*rest, n.heads, n.width, n.states), u.dtype) if h is None else h
        carried, outputs = carried.reshape(*rest, n.heads, n.width, n.states), np.empty_like(u)
        for t in range(u.shape[0]):
            pushed = np.einsum("...h,...hp,...hn->...hpn", dt[t], u[t], b[t])
            carried = np.exp(dt[t] * a)[..., None, None] * carried + pushed
            outputs[t] = np.einsum("...hpn,...hn->...hp", carried, c[t])
        y = (outputs if d is None else outputs + u * d[:, None]).reshape(*outputs.shape[:-2], -1)
        batch = [carried.shape[0]] if Role.BATCH in self.x.type.roles else []
        unit = [1] if laid_out(self.x.type) else []
        return (np.moveaxis(y, (0, -1), (time, at)), carried.reshape(*batch, n.heads * n.width, *unit, n.states))

    def macs(self) -> int:
        """The decayed state, the product of input and B that is added to it, and the product with C; and D's."""
        size = self.result.type.size
        return MACS_PER_STATE * size * Sizes.of(self).states + (0 if self.D is None else size)

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((("h", 1),), "mask")
