"""The structured state space duality (SSD) of Mamba-2: a selective scan with one decay a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import FLOATS, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.ops.linear import channel_axis
from mctc.ir.ops.mask import check_mask, mask_along
from mctc.ir.ops.recurrent import check_state
from mctc.ir.ops.scan import check_one_sequence, scan_state_type
from mctc.ir.ops.shape import laid_out
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import Axis, Role, TensorType


@dataclass(frozen=True)
class Sizes:
    """Heads H of P channels each, in G groups that share B and C; N states a channel."""

    heads: int
    width: int
    groups: int
    states: int

    @staticmethod
    def of(s: Signature) -> Sizes:
        """Raises InferenceError where the operands don't divide into heads and groups."""
        groups, a = s.count("groups"), s["A"]
        if a.rank != 1:
            raise InferenceError(f"A must have one entry a head, not {a}", "A")
        channels, heads = s["x"].extents[channel_axis(s, "x")].value, a.extents[0].value
        both = s["B"].extents[channel_axis(s, "B")].value
        if channels % heads:
            raise InferenceError(f"{channels} channels do not divide into {heads} heads", "x")
        if heads % groups:
            raise InferenceError(f"{heads} heads do not divide into {groups} groups", "A")
        if both % groups:
            raise InferenceError(f"the {both} channels of B do not divide into {groups} groups", "B")
        return Sizes(heads, channels // heads, groups, both // groups)


@declare
class Ssd(OpDef):
    """h(t) = exp(delta(t) * A) * h(t-1) + delta(t) * x(t) B(t)^T;  y(t) = h(t) C(t) + D * x(t), for each head.

    x [.., T, H * P]; delta [.., T, H]; A, D [H]; B, C [.., T, G * N], those of a group for H / G heads; state h
    [batch, H * P, N]. Results y and h. Mamba-2 (Dao & Gu, 2024): the selective state space model whose A is a number
    times the identity. `mask` as in `selective_scan`.
    """

    name = "ssd"
    operands = "x delta A B C D? h? mask?"
    takes = FLOATS
    attributes = {"groups": 1}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        x, at = s["x"], channel_axis(s, "x")
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to scan along", "x")
        check_one_sequence(x)
        sizes = Sizes.of(s)
        both = sizes.groups * sizes.states
        for name, channels in (("delta", sizes.heads), ("B", both), ("C", both)):
            wanted = x.with_axis(at, Axis(Role.CHANNEL, Extent.of(channels)))
            if s[name] != wanted:
                raise InferenceError(f"{name} must be {wanted}, not {s[name]}", name)
        if "D" in s and s["D"].extents != s["A"].extents:
            raise InferenceError(f"D must have one entry a head, {sizes.heads}, not {s['D']}", "D")
        state = scan_state_type(x, Extent.of(sizes.states))
        check_state(s, "h", state)
        check_mask(s, "mask", "x")
        return (x, state)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        x, delta, a, b, c, d, h, mask = operands
        at, time, n = channel_axis(s, "x"), s["x"].sequence, Sizes.of(s)
        assert time is not None
        u, dt, b, c = (np.moveaxis(v, (time, at), (0, -1)) for v in (x, delta, b, c))  # T, rest, channels
        if mask is not None:
            dt = dt * np.moveaxis(mask_along(s, "mask", "x", mask), (time, at), (0, -1))
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
        batch = [carried.shape[0]] if Role.BATCH in s["x"].roles else []
        unit = [1] if laid_out(s["x"]) else []
        return (np.moveaxis(y, (0, -1), (time, at)), carried.reshape(*batch, n.heads * n.width, *unit, n.states))

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        return Recurrent((("h", 1),), "mask")
