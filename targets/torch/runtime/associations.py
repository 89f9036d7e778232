"""A matrix of keys and values that is decayed, written to and corrected from frame to frame, as matrix products.

Time is cut into chunks. Inside one, frames meet in pairs; what frames read before they correct is the solution of a
triangular system (the UT transform of Yang et al., 2024, arXiv:2406.06484, section 3.2), for all chunks at once. From
chunk to chunk the matrix alone is handed on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

CHUNK = 64
BY_KEY = 16
"""Frames of a chunk where each entry of a key has a decay of its own: a matrix of pairs for every entry."""


def associations(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    log_decay: Tensor | None = None,
    into: Tensor | None = None,
    of: Tensor | None = None,
    h: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """S[t] = exp(log_decay[t]) o S[t-1] + value[t] key[t]^T + (S[t-1] of[t]) into[t]^T and y[t] = S[t] query[t].

    query, key, into, of: (B, 1, N, T); value: (B, P, 1, T); log_decay: (B, 1, N or 1, T), at most 0, or of extent 1
    where it is the same; h: (B, P, N, 1), zeros where absent. Returns y (B, P, 1, T) and S behind the last frame, as h.
    """
    batch, width, _, frames = value.shape
    wide = torch.promote_types(value.dtype, torch.float32)
    by_key = log_decay is not None and log_decay.shape[2] > 1
    size = min(BY_KEY if by_key else CHUNK, frames)

    def cut(each: Tensor) -> Tensor:
        """(B, entries, frames) to (B, chunks, frames of one, entries), zeros behind the last frame."""
        each = F.pad(each.to(wide).expand(batch, -1, frames), (0, -frames % size))
        return torch.unflatten(each, 2, (-1, size)).permute(0, 2, 3, 1)

    with torch.autocast(value.device.type, enabled=False):
        read, written, v = cut(query.squeeze(1)), cut(key.squeeze(1)), cut(value.squeeze(2))
        decays = _Decays(None if log_decay is None else cut(log_decay.squeeze(1)), size)
        state = value.new_zeros(batch, width, key.shape[2], dtype=wide) if h is None else h.to(wide).squeeze(3)
        fixed = decays.met(read, written, 0) @ v
        given, given_read, corrected = None, None, None
        if into is not None and of is not None:
            turned, asked = cut(into.squeeze(1)), cut(of.squeeze(1))
            links = torch.eye(size, dtype=wide, device=v.device) - decays.met(asked, turned, 1)
            both = torch.cat([asked * decays.since(1), decays.met(asked, written, 1) @ v], -1)
            solved = torch.linalg.solve_triangular(links, both, upper=False, unitriangular=True)
            given, given_read = solved.split([key.shape[2], width], -1)
            corrected = decays.met(read, turned, 0), turned * decays.rest()
        asked_since, kept, added = read * decays.since(0), decays.whole(), v.mT @ (written * decays.rest())
        outputs = []
        for chunk in range(v.shape[1]):
            y = fixed[:, chunk] + asked_since[:, chunk] @ state.mT
            new = state if kept is None else state * kept[:, chunk]
            new = new + added[:, chunk]
            if given is not None and given_read is not None and corrected is not None:
                found = given[:, chunk] @ state.mT + given_read[:, chunk]
                y = y + corrected[0][:, chunk] @ found
                new = new + found.mT @ corrected[1][:, chunk]
            state = new
            outputs.append(y)
        y = torch.cat(outputs, 1)[:, :frames].mT.unsqueeze(2)
    return y.to(value.dtype), state.to(value.dtype).unsqueeze(3)


class _Decays:
    """Decays between the frames of chunks, of their logarithms (B, chunks, frames, N or 1); all 1 where that is None.

    Exponents are sums of logarithms, and no differences of running sums, which would lose what is small beside them.
    """

    def __init__(self, logs: Tensor | None, size: int) -> None:
        self.logs, self.size = logs, size

    def met(self, read: Tensor, written: Tensor, before: int) -> Tensor:
        """[t, s]: what frame t (or, with before = 1, what is there before it) reads of what frame s has written."""
        if self.logs is None:
            return (read @ written.mT).tril(-before)
        between = self._between(before)
        if self.logs.shape[-1] == 1:
            return (read @ written.mT) * between.squeeze(-3)
        return torch.einsum("bctn,bcsn,bcnts->bcts", read, written, between)

    def _between(self, before: int) -> Tensor:
        """(B, chunks, N or 1, t, s): the product over frames s+1 to t - before, 0 where that ends before s."""
        assert self.logs is not None
        rows = self.logs.mT.unsqueeze(-1).expand(*self.logs.mT.shape, self.size)  # .., r, s: the logarithm of frame r
        sums = rows.tril(-1).cumsum(-2)  # over frames s+1 to t
        if before:
            sums = F.pad(sums[..., :-1, :], (0, 0, 1, 0))
        return sums.exp().tril(-before)

    def since(self, before: int) -> Tensor | float:
        """Of the incoming matrix, what is left behind each frame, or before it."""
        if self.logs is None:
            return 1.0
        sums = self.logs.cumsum(2)
        return (F.pad(sums[:, :, :-1], (0, 0, 1, 0)) if before else sums).exp()

    def rest(self) -> Tensor | float:
        """Of what each frame writes, what is left behind the last one."""
        if self.logs is None:
            return 1.0
        behind = F.pad(self.logs[:, :, 1:], (0, 0, 0, 1)).flip(2).cumsum(2).flip(2)
        return behind.exp()

    def whole(self) -> Tensor | None:
        """(B, chunks, 1, N or 1): the product over all frames."""
        return None if self.logs is None else self.logs.sum(2, keepdim=True).exp()
