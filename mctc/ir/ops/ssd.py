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
    """Heads H of P channels each, in G groups that share B and C; N states a channel; W writes and R reads a frame."""

    heads: int
    width: int
    groups: int
    states: int
    writes: int
    reads: int

    @staticmethod
    def of(op: Ssd) -> Sizes:
        """Raises InferenceError where the operands don't divide into heads and groups."""
        groups, heads = op.groups, _heads(op)
        x, delta, b, c = (_channels(op, name) for name in ("x", "delta", "B", "C"))
        if delta % heads:
            raise InferenceError(f"the {delta} channels of delta do not divide into {heads} heads", "delta")
        writes = delta // heads
        each = "" if writes == 1 else f" of {writes} writes a frame"
        if x % delta:
            raise InferenceError(f"{x} channels do not divide into {heads} heads{each}", "x")
        if heads % groups:
            raise InferenceError(f"{heads} heads do not divide into {groups} groups", "A")
        if b % (writes * groups):
            raise InferenceError(f"the {b} channels of B do not divide into {groups} groups{each}", "B")
        states = b // (writes * groups)
        if c % (groups * states):
            raise InferenceError(f"C must have {groups * states} channels for each read, not {c}", "C")
        return Sizes(heads, x // delta, groups, states, writes, c // (groups * states))


def _channels(op: Ssd, name: str) -> int:
    type_: TensorType = getattr(op, name).type
    return type_.extents[channel_axis(type_, name)].value


def _heads(op: Ssd) -> int:
    """Raises InferenceError where A is neither a rate a head nor a decay a head and frame."""
    a = op.A.type
    if a.rank == 1:
        return a.extents[0].value
    if a.sequence is None:
        raise InferenceError(f"A must have one entry a head, or one a head and frame, not {a}", "A")
    return _channels(op, "A")


@declare
class Ssd(Op):
    """h(t) = exp(delta(t) * A) * h(t-1) + delta(t) * x(t) B(t)^T;  y(t) = h(t) C(t) + D * x(t), for each head.

    x [.., T, H * P]; delta [.., T, H]; A, D [H]; B, C [.., T, G * N], those of a group for H / G heads; state h
    [batch, H * P, N]. Results y and h. Mamba-2 (Dao & Gu, 2024): the selective state space model whose A is a number
    times the identity. `mask` as in `selective_scan`.

    With A [.., T, H] the decay is exp(A(t)), of each frame its own. A frame may then write W times, and be read R
    times: x [.., T, W * H * P], delta [.., T, W * H] and B [.., T, W * G * N] hold the writes one behind the other,
    which are added up; C [.., T, R * G * N] and y [.., T, R * H * P] the reads. D takes as many of one as of the other.
    `diagonal`, as delta, stands for it where a frame reads what it writes itself, and not in h: with 0, y is read
    before anything is written.
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
    diagonal = optional_operand()
    takes = FLOATS
    groups = count(1)

    def infer(self) -> Sequence[TensorType]:
        x, at = self.x.type, channel_axis(self.x.type)
        if x.sequence is None:
            raise InferenceError(f"{x} has no time or label axis to scan along", "x")
        check_one_sequence(x)
        n = Sizes.of(self)

        def of(channels: int) -> TensorType:
            return x.with_axis(at, Axis(Role.CHANNEL, Extent.of(channels)))

        steps, both = of(n.writes * n.heads), n.groups * n.states
        wanted = {"delta": steps, "B": of(n.writes * both), "C": of(n.reads * both), "diagonal": steps}
        wanted |= {"A": of(n.heads)} if self.A.type.rank > 1 else {}
        for name, type_ in wanted.items():
            given = getattr(self, name)
            if given is not None and given.type != type_:
                raise InferenceError(f"{name} must be {type_}, not {given.type}", name)
        if n.writes > 1 and self.A.type.rank == 1:
            raise InferenceError(f"{n.writes} writes a frame take a decay of each frame, {of(n.heads)}", "A")
        if self.D is not None and (self.D.type.rank != 1 or self.D.type.extents[0].value != n.heads):
            raise InferenceError(f"D must have one entry a head, {n.heads}, not {self.D.type}", "D")
        if self.D is not None and n.writes != n.reads:
            raise InferenceError(f"D takes as many reads as writes, not {n.reads} and {n.writes}", "D")
        state = scan_state_type(of(n.heads * n.width), Extent.of(n.states))
        check_state(self, "h", state)
        check_mask(self.mask, x)
        return (of(n.reads * n.heads * n.width), state)

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
        diagonal: Array | None,
    ) -> Sequence[Array]:
        at, time, n = channel_axis(self.x.type), self.x.type.sequence, Sizes.of(self)
        assert time is not None

        def frames(v: Array) -> Array:  # T, rest, channels
            return np.moveaxis(v, (time, at), (0, -1))

        def parts(v: Array, *sizes: int) -> Array:
            return v.reshape(*v.shape[:-1], *sizes)

        def shared(v: Array, many: int) -> Array:
            """T, rest, writes or reads, heads, N."""
            return np.repeat(parts(frames(v), many, n.groups, n.states), n.heads // n.groups, -2)

        steps = parts(frames(delta), n.writes, n.heads)
        own = steps if diagonal is None else parts(frames(diagonal), n.writes, n.heads)
        kept = steps[..., 0, :] * a if a.ndim == 1 else frames(a)
        if self.mask is not None and mask is not None:
            marks = np.moveaxis(mask_along(self.mask.type, self.x.type, mask), (time, at), (0, -1))
            steps, own, kept = steps * marks[..., None], own * marks[..., None], kept * marks
        u, into, out = parts(frames(x), n.writes, n.heads, n.width), shared(b, n.writes), shared(c, n.reads)
        shape = (*u.shape[1:-3], n.heads, n.width, n.states)
        carried = np.zeros(shape, u.dtype) if h is None else h.reshape(shape)
        outputs = np.empty((*u.shape[:-3], n.reads, n.heads, n.width), u.dtype)
        for t in range(u.shape[0]):
            decayed = np.exp(kept[t])[..., None, None] * carried
            carried, read = (
                decayed + np.einsum("...wh,...whp,...whn->...hpn", weight[t], u[t], into[t]) for weight in (steps, own)
            )
            outputs[t] = np.einsum("...hpn,...rhn->...rhp", read, out[t])
        y = (outputs if d is None else outputs + u * d[:, None]).reshape(*outputs.shape[:-3], -1)
        batch = [carried.shape[0]] if Role.BATCH in self.x.type.roles else []
        unit = [1] if laid_out(self.x.type) else []
        return (np.moveaxis(y, (0, -1), (time, at)), carried.reshape(*batch, n.heads * n.width, *unit, n.states))

    def macs(self) -> int:
        """The decayed state, the products of inputs and B that are added to it, and those with C; and D's."""
        n, size = Sizes.of(self), self.result.type.size
        state = size // n.reads * n.states
        return (MACS_PER_STATE - 2 + n.writes + n.reads) * state + (0 if self.D is None else size)

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((("h", 1),), "mask")
