"""The selective scan in torch operations alone, for a processor without a compiler and for fp64.

Time is cut into chunks of `CHUNK` steps. Inside one, the recurrence h[t] = a[t] h[t-1] + b[t] is folded by pairs: half
as many steps, each of twice the span, are solved the same way, and the steps between follow from them. That is three
times the arithmetic, but a few large operations instead of many small ones, and only products of decays ever appear, so
nothing overflows that does not in the definition. The state at the start of each chunk is kept; the backward recomputes
the rest, one chunk at a time.

Here time comes first: (L, Batch, Groups, 1, Channels / Groups) for x and its like, (L, Batch, Groups, N, 1) for B and
C, and what a chunk spreads over the states is (CHUNK, Batch, Groups, N, Channels / Groups).
"""

# ruff: noqa: N803, N806, N812 - the names of the paper and of torch's documentation

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 32

Gradients = tuple[Tensor, ...]


def checkpoints_shape(x: Tensor, A: Tensor, B: Tensor) -> tuple[int, ...]:
    """What `forward` keeps for `backward`: the states at the start of each chunk."""
    batch, channels, length = x.shape
    groups = B.shape[1]
    return ((length + CHUNK - 1) // CHUNK, batch, groups, A.shape[1], channels // groups)


def checkpoints_type(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def forward(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    h: Tensor | None,
    softplus: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """y, the last state and the checkpoints; arguments as of the op mctc::selective_scan."""
    scan = _Scan.of(x, delta, A, B, C, D, z, delta_bias, softplus)
    state = scan.by_group(h)
    y = torch.empty_like(scan.x)
    checkpoints = state.new_empty(checkpoints_shape(x, A, B))
    for start in range(0, x.shape[2], CHUNK):
        checkpoints[start // CHUNK] = state
        chunk = scan.chunk(start)
        states = chunk.states(state)
        state = states[-1].clone()
        out = chunk.output(states)
        y[start : start + CHUNK] = out if chunk.z is None else out * chunk.z * torch.sigmoid(chunk.z)
    return _time_last(y), _by_channel(state), checkpoints


def backward(
    dy: Tensor,
    dh_last: Tensor,
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    h: Tensor | None,
    checkpoints: Tensor,
    softplus: bool,
) -> Gradients:
    """The gradients of x, delta, A, B, C, D, z, delta_bias and h, empty where there was none."""
    scan = _Scan.of(x, delta, A, B, C, D, z, delta_bias, softplus)
    dy = _time_first(dy, scan.groups)
    dx, ddelta, dB, dC = (torch.empty_like(each) for each in (scan.x, scan.delta, scan.B, scan.C))
    dz = None if scan.z is None else torch.empty_like(scan.z)
    dA, dD, dbias = torch.zeros_like(scan.A), scan.A.new_zeros(x.shape[1]), scan.A.new_zeros(x.shape[1])
    carry = scan.by_group(dh_last)  # the gradient of a chunk's last state, from what comes behind it
    for start in reversed(range(0, x.shape[2], CHUNK)):
        here = slice(start, start + CHUNK)
        chunk = scan.chunk(start)
        found = chunk.gradients(checkpoints[start // CHUNK], dy[here].to(scan.wide), carry)
        dx[here], ddelta[here], dB[here], dC[here] = found.x, found.rate, found.B, found.C
        if dz is not None and found.z is not None:
            dz[here] = found.z
        dA += found.A
        dD += found.D.flatten()
        dbias += found.rate.sum((0, 1)).flatten()
        carry = found.state
    none = (x.new_empty(0) for _ in range(4))  # one each: what an operation returns shares no storage
    return (
        _time_last(dx),
        _time_last(ddelta),
        dA.mT.reshape(A.shape),
        _time_last(dB).view(B.shape),
        _time_last(dC).view(C.shape),
        next(none) if D is None else dD,
        next(none) if dz is None else _time_last(dz),
        next(none) if delta_bias is None else dbias,
        next(none) if h is None else _by_channel(carry),
    )


@dataclass(frozen=True)
class _Gradients:
    """Of a chunk; `rate` before the softplus, `state` of the state before the chunk."""

    x: Tensor
    rate: Tensor
    z: Tensor | None
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    state: Tensor


@dataclass(frozen=True)
class _Chunk:
    """A few steps of everything, in the type that is computed in."""

    x: Tensor
    z: Tensor | None
    raw_rate: Tensor
    rate: Tensor
    input: Tensor  # rate * x
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    decay: Tensor
    softplus: bool

    def states(self, state: Tensor) -> Tensor:
        """The state after each step, from the one before the first."""
        states = self.input * self.B
        states[0].addcmul_(self.decay[0], state)
        _scan_(self.decay[1:], states)
        return states

    def output(self, states: Tensor) -> Tensor:
        """Before the gate."""
        out = self.C.mT @ states
        return out if self.D is None else out.addcmul_(self.D, self.x)

    def gradients(self, state: Tensor, dout: Tensor, dstate: Tensor) -> _Gradients:
        """From the state before the chunk, and the gradients of the output and of the state after the chunk."""
        states = self.states(state)
        dz = None
        if self.z is not None:
            gate = torch.sigmoid(self.z)
            dz = dout * self.output(states) * gate * (1 + self.z * (1 - gate))
            dout = dout * self.z * gate

        # dstates[t] = C[t] dout[t] + decay[t+1] dstates[t+1]: the same recurrence, from the end
        dstates = self.C.flip(0) * dout.flip(0)
        dstates[0] += dstate
        _scan_(self.decay[1:].flip(0), dstates)
        dstates = dstates.flip(0)

        dinput = self.B.mT @ dstates
        dexponent = self.decay * dstates  # of the exponent rate * A, once the state before the step is multiplied in
        dstate = dexponent[0].clone()
        dexponent[0] *= state
        dexponent[1:] *= states[:-1]
        drate = (dexponent * self.A).sum(-2, keepdim=True).addcmul_(dinput, self.x)
        dx = dinput * self.rate
        return _Gradients(
            x=dx if self.D is None else dx.addcmul_(self.D, dout),
            rate=drate * torch.sigmoid(self.raw_rate) if self.softplus else drate,
            z=dz,
            A=dexponent.mul_(self.rate).sum((0, 1)),
            B=dstates @ self.input.mT,
            C=states @ dout.mT,
            D=(dout * self.x).sum((0, 1)),
            state=dstate,
        )


@dataclass(frozen=True)
class _Scan:
    """The operation's arguments, time first."""

    x: Tensor
    delta: Tensor
    A: Tensor  # (Groups, N, Channels / Groups), as the next ones
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    bias: Tensor | None
    softplus: bool

    @classmethod
    def of(
        cls,
        x: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None,
        z: Tensor | None,
        delta_bias: Tensor | None,
        softplus: bool,
    ) -> _Scan:
        groups = B.shape[1]
        of_group = (groups, 1, x.shape[1] // groups)
        return cls(
            _time_first(x, groups),
            _time_first(delta, groups),
            A.view(groups, -1, A.shape[1]).mT.contiguous(),
            _time_first(B.flatten(1, 2), groups).mT,
            _time_first(C.flatten(1, 2), groups).mT,
            None if D is None else D.view(of_group),
            None if z is None else _time_first(z, groups),
            None if delta_bias is None else delta_bias.view(of_group),
            softplus,
        )

    @property
    def groups(self) -> int:
        return self.A.shape[0]

    @property
    def wide(self) -> torch.dtype:
        return self.A.dtype

    def chunk(self, start: int) -> _Chunk:
        here = slice(start, start + CHUNK)
        x, raw_rate = self.x[here].to(self.wide), self.delta[here].to(self.wide)
        raw_rate = raw_rate if self.bias is None else raw_rate + self.bias
        rate = F.softplus(raw_rate) if self.softplus else raw_rate
        return _Chunk(
            x=x,
            z=None if self.z is None else self.z[here].to(self.wide),
            raw_rate=raw_rate,
            rate=rate,
            input=rate * x,
            A=self.A,
            B=self.B[here].to(self.wide),
            C=self.C[here].to(self.wide),
            D=self.D,
            decay=(rate * self.A).exp_(),
            softplus=self.softplus,
        )

    def by_group(self, h: Tensor | None) -> Tensor:
        """(Batch, Channels, N), or zeros, to (Batch, Groups, N, Channels / Groups)."""
        if h is None:
            return self.A.new_zeros(self.x.shape[1], *self.A.shape)
        batch, channels, states = h.shape
        return h.view(batch, self.groups, channels // self.groups, states).mT.contiguous()


def _by_channel(state: Tensor) -> Tensor:
    return state.mT.flatten(1, 2).clone(memory_format=torch.contiguous_format)


def _time_first(rows: Tensor, groups: int) -> Tensor:
    """(Batch, Rows, L) to (L, Batch, Groups, 1, Rows / Groups)."""
    batch, count, length = rows.shape
    # Two axes, since torch transposes a matrix fast.
    return rows.flatten(0, 1).t().contiguous().view(length, batch, groups, 1, count // groups)


def _time_last(rows: Tensor) -> Tensor:
    """Back to (Batch, Rows, L)."""
    length, batch = rows.shape[:2]
    count = math.prod(rows.shape[2:])
    return rows.reshape(length, batch * count).t().contiguous().view(batch, count, length)


def _scan_(decay: Tensor, value: Tensor) -> None:
    """value[t] += decay[t-1] * value[t-1], one after another, in place; decay has one step fewer than value."""
    length = len(value)
    if length < 2:
        return
    pairs = length // 2
    inside, between = decay[0::2], decay[1::2]  # from the first to the second of a pair, and on to the next pair
    second = value[1::2]
    second.addcmul_(inside, value[0 : 2 * pairs : 2])
    _scan_(between[: pairs - 1] * inside[1:], second)
    value[2::2].addcmul_(between, value[1 : length - 1 : 2])
