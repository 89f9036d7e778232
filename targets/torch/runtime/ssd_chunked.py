"""The scan of Mamba-2 in batched matrix products of torch, which autograd differentiates, on any device.

Time is cut into chunks, all of which are worked on at once. Inside one, all pairs of frames are weighed by two matrix
products and the decay between them; the states between chunks are such a sum themselves, over chunks in the place of
frames (Dao & Gu, 2024, section 6).
"""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .ssd_sizes import Sizes

CHUNK = 64


def chunked(
    x: Tensor, weight: Tensor, decay: Tensor, B: Tensor, C: Tensor, D: Tensor | None, h: Tensor | None, groups: int
) -> tuple[Tensor, Tensor]:
    """y and the state after the last frame, of the arguments of `mctc::ssd`."""
    batch, channels, length = x.shape
    n = Sizes.of(x, weight, B, groups)
    heads = n.heads // groups
    wide = torch.promote_types(x.dtype, torch.float32)
    log_decay = decay[:, None] * weight if decay.dim() == 1 else decay
    chunks = -(-length // CHUNK)

    def cut(each: Tensor, *axes: int) -> Tensor:
        """(Batch, axes, chunk, frame of it), zeros behind the last frame."""
        padded = F.pad(each.to(wide), (0, chunks * CHUNK - length))
        return padded.reshape(batch, *axes, chunks, CHUNK)

    exponent = cut(log_decay, groups, heads)  # (Batch, groups, heads, chunks, CHUNK)
    drive = cut(x, groups, heads, n.width) * cut(weight, groups, heads, 1)
    drive = drive.movedim(3, 4)  # (Batch, groups, heads, chunks, P, CHUNK)
    into, out = (
        cut(each, groups, 1, n.states).movedim(3, 4) for each in (B, C)
    )  # (Batch, groups, 1, chunks, N, CHUNK)
    between = decays(exponent)
    since = exponent.cumsum(-1).exp()
    added = (drive * between[..., -1].unsqueeze(-2)) @ into.mT
    first = x.new_zeros(batch, channels, n.states, dtype=wide) if h is None else h.to(wide)
    first = first.reshape(batch, groups, heads, n.width, n.states)
    before, last = _passed_on(added, exponent.sum(-1), first)
    y = drive @ (between * (into.mT @ out)) + (before @ out) * since.unsqueeze(-2)
    y = y.movedim(4, 3).reshape(batch, channels, -1)[..., :length]
    if D is not None:
        y = y + x.to(wide) * D.repeat_interleave(n.width)[:, None]
    return y.to(x.dtype), last.reshape(batch, channels, n.states)


def decays(exponent: Tensor) -> Tensor:
    """(.., l) to (.., l, l): [s, t] is exp of the sum of the exponents of frames s+1 to t, 0 where t < s.

    The sums are no differences of running sums, which would lose what is small beside them.
    """
    length = exponent.shape[-1]
    return exponent.unsqueeze(-2).expand(*exponent.shape[:-1], length, length).triu(1).cumsum(-1).exp().triu()


def _passed_on(added: Tensor, exponent: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """The states before each chunk, (.., chunks, P, N), and after the last: h' = exp(exponent) h + added.

    added: (.., chunks, P, N), exponent: (.., chunks), first: (.., P, N). More than CHUNK chunks are cut into stretches
    of so many, between which the states are passed on alike.
    """
    count = exponent.shape[-1]
    if count > CHUNK:
        stretches = -(-count // CHUNK)
        rest = stretches * CHUNK - count
        added = F.pad(added, (0, 0, 0, 0, 0, rest))
        added = added.reshape(*added.shape[:-3], stretches, CHUNK, *added.shape[-2:])
        exponent = F.pad(exponent, (0, rest)).reshape(*exponent.shape[:-1], stretches, CHUNK)
        whole = (added * decays(exponent)[..., -1, None, None]).sum(-3)
        starts, last = _passed_on(whole, exponent.sum(-1), first)
        return _within(added, exponent, starts).flatten(-4, -3)[..., :count, :, :], last
    weights = decays(exponent)[..., -1, None, None]
    last = first * exponent.sum(-1)[..., None, None].exp() + (added * weights).sum(-3)
    return _within(added, exponent, first), last


def _within(added: Tensor, exponent: Tensor, first: Tensor) -> Tensor:
    """The states before each chunk of a stretch, from the one before it."""
    before = F.pad(exponent[..., :-1], (1, 0))  # that of the chunk before: [i, j] then is what i adds to what j meets
    shifted = F.pad(added[..., :-1, :, :], (0, 0, 0, 0, 1, 0))
    passed = (decays(before).mT @ shifted.flatten(-2)).reshape(added.shape)
    return passed + before.cumsum(-1).exp()[..., None, None] * first.unsqueeze(-3)
