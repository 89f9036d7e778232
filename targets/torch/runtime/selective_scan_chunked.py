"""The selective scan in torch operations alone, for a processor without a compiler and for fp64.

Time is cut into chunks of `CHUNK` steps. Inside one, the recurrence h[t] = a[t] h[t-1] + b[t] is folded by pairs: half as
many steps, each of twice the span, are solved the same way, and the steps between follow from them. That is about three
multiplications a step instead of one, but log2(CHUNK) rounds of large operations instead of CHUNK small ones, and only
products of decays ever appear, so nothing can overflow that does not in the definition. The state at the start of each
chunk is kept; the backward recomputes the rest, one chunk at a time.

Inside a chunk tensors are laid out (time, Batch, Groups, N, Channels / Groups).
"""

# ruff: noqa: N803, N806, N812 - the names of the paper and of torch's documentation

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 32

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def checkpoints_shape(x: Tensor, A: Tensor, B: Tensor) -> tuple[int, ...]:
    """What `forward` keeps for `backward`: the states at the start of all chunks but the first."""
    batch, channels, length = x.shape
    groups, state = B.shape[1], A.shape[1]
    return (max(length - 1, 0) // CHUNK, batch, groups, state, channels // groups)


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
    scan = _Scan(x, delta, A, B, C, D, z, delta_bias, softplus)
    state = scan.first_state(h)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    checkpoints = state.new_empty(checkpoints_shape(x, A, B))
    for index, start in enumerate(range(0, x.shape[2], CHUNK)):
        if index:
            checkpoints[index - 1] = state
        chunk = scan.chunk(start)
        states = chunk.states(state)
        state = states[-1].clone()
        out = chunk.C.mT @ states
        out = out if scan.D is None else out.addcmul_(scan.D, chunk.x)
        out = out if chunk.z is None else out.mul_(F.silu(chunk.z))
        y[:, :, start : start + CHUNK] = scan.time_last(out)
    return y, scan.state_last(state), checkpoints


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
    scan = _Scan(x, delta, A, B, C, D, z, delta_bias, softplus)
    dx, ddelta, dz = torch.empty_like(x), torch.empty_like(delta), torch.empty_like(x if z is None else z)
    dB, dC = torch.empty_like(B), torch.empty_like(C)
    dA, dD, dbias = torch.zeros_like(scan.A), scan.A.new_zeros(x.shape[1]), scan.A.new_zeros(x.shape[1])
    carry = scan.first_state(dh_last)  # the gradient of a chunk's last state, from the chunks behind it
    for start in reversed(range(0, x.shape[2], CHUNK)):
        chunk = scan.chunk(start)
        here = slice(start, start + CHUNK)
        state = checkpoints[start // CHUNK - 1] if start else scan.first_state(h)
        states = chunk.states(state)
        dout = scan.time_first(dy[:, :, here])
        if chunk.z is not None:
            gate = torch.sigmoid(chunk.z)
            out = chunk.C.mT @ states
            out = out if scan.D is None else out.addcmul_(scan.D, chunk.x)
            dz[:, :, here] = scan.time_last(dout * out * gate * (1 + chunk.z * (1 - gate)))
            dout = dout * gate * chunk.z

        # dstates[t] = C[t] dout[t] + decay[t+1] dstates[t+1]
        dstates = chunk.C.flip(0) * dout.flip(0)
        dstates[0] += carry
        _scan_(chunk.decay[1:].flip(0), dstates)
        dstates = dstates.flip(0)
        carry = chunk.decay[0] * dstates[0]

        dinput = chunk.B.mT @ dstates
        dexponent = chunk.decay  # not needed any more: the gradient of rate * A takes its place
        dexponent[0] *= state
        dexponent[1:] *= states[:-1]
        dexponent *= dstates
        drate = (dexponent * scan.A).sum(-2, keepdim=True).addcmul_(dinput, chunk.x)
        drate = drate * torch.sigmoid(chunk.raw_rate) if softplus else drate

        dA += (dexponent * chunk.rate).sum((0, 1))
        dB[..., here] = (dstates @ (chunk.rate * chunk.x).mT).squeeze(-1).permute(1, 2, 3, 0)
        dC[..., here] = (states @ dout.mT).squeeze(-1).permute(1, 2, 3, 0)
        dD += (dout * chunk.x).sum((0, 1)).flatten()
        dbias += drate.sum((0, 1)).flatten()
        dx[:, :, here] = scan.time_last(
            dinput * chunk.rate if scan.D is None else torch.addcmul(dinput * chunk.rate, scan.D, dout)
        )
        ddelta[:, :, here] = scan.time_last(drate)
    return (
        dx,
        ddelta,
        dA.mT.reshape(A.shape),
        dB,
        dC,
        x.new_empty(0) if D is None else dD,
        x.new_empty(0) if z is None else dz,
        x.new_empty(0) if delta_bias is None else dbias,
        x.new_empty(0) if h is None else scan.state_last(carry),
    )


@dataclass(frozen=True)
class _Chunk:
    """A few steps: C, B (time, Batch, Groups, N, 1), states and decay (.., N, Channels), the rest (.., 1, Channels)."""

    x: Tensor
    z: Tensor | None
    raw_rate: Tensor
    rate: Tensor
    B: Tensor
    C: Tensor
    decay: Tensor

    def states(self, first: Tensor) -> Tensor:
        """The state after each step, from the one before the first."""
        states = (self.rate * self.x) * self.B
        states[0].addcmul_(self.decay[0], first)
        _scan_(self.decay[1:], states)
        return states


class _Scan:
    """The op's arguments, and their layout inside a chunk and back."""

    def __init__(
        self,
        x: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None,
        z: Tensor | None,
        delta_bias: Tensor | None,
        softplus: bool,
    ) -> None:
        self.x, self.delta, self.z, self.softplus = x, delta, z, softplus
        self.wide = torch.promote_types(x.dtype, torch.float32)
        self.batch, self.groups, self.state = x.shape[0], B.shape[1], A.shape[1]
        self.A = self._by_group(A).mT.contiguous()
        self.D = None if D is None else self._by_group(D[:, None]).mT
        self.bias = None if delta_bias is None else self._by_group(delta_bias[:, None]).mT
        self.B, self.C = B, C

    def chunk(self, start: int) -> _Chunk:
        here = slice(start, start + CHUNK)
        x, rate = self.time_first(self.x[:, :, here]), self.time_first(self.delta[:, :, here])
        raw_rate = rate if self.bias is None else rate + self.bias
        rate = F.softplus(raw_rate) if self.softplus else raw_rate
        z = None if self.z is None else self.time_first(self.z[:, :, here])
        B, C = (each[..., here].permute(3, 0, 1, 2).to(self.wide)[..., None] for each in (self.B, self.C))
        return _Chunk(x, z, raw_rate, rate, B, C, decay=torch.exp_(rate * self.A))

    def time_first(self, each: Tensor) -> Tensor:
        """(Batch, Channels, time) to (time, Batch, Groups, 1, Channels / Groups)."""
        rows = each.permute(2, 0, 1).to(self.wide, memory_format=torch.contiguous_format)
        return rows.unflatten(-1, (self.groups, -1)).unsqueeze(-2)

    def time_last(self, each: Tensor) -> Tensor:
        return each.flatten(2).permute(1, 2, 0)

    def first_state(self, h: Tensor | None) -> Tensor:
        """(Batch, Channels, N) or nothing to (Batch, Groups, N, Channels / Groups)."""
        if h is None:
            return self.A.new_zeros(self.batch, *self.A.shape)
        return h.unflatten(1, (self.groups, -1)).mT.contiguous()

    def state_last(self, state: Tensor) -> Tensor:
        return state.mT.flatten(1, 2).clone(memory_format=torch.contiguous_format)

    def _by_group(self, each: Tensor) -> Tensor:
        return each.unflatten(0, (self.groups, -1))


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
