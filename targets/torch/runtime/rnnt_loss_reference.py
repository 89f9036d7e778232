"""The transducer loss as it is defined, and the same quantities in torch operations alone.

`definition` is what the tests trust. The other four functions are what `rnnt_loss` falls back on where no kernel is at
hand: no C++ compiler, or logits in fp64. The recursion is in fp64, as in rnnt_loss.cpp.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def definition(blank: Tensor, label: Tensor, frame_lengths: Tensor, label_lengths: Tensor) -> Tensor:
    """Minus the log of the summed probability of all alignments, cell by cell; differentiable.

    Graves 2012, "Sequence transduction with recurrent neural networks", equations 16 to 18.

    Args:
        blank: (B, T, U+1), log p(blank) at frame t after u labels.
        label: (B, T, U), log p(label u+1) at frame t after u labels.
        frame_lengths, label_lengths: (B,), of each utterance, at least 1 and 0.
    Returns: (B,).
    """
    losses = []
    for b in range(len(blank)):
        frames, labels = int(frame_lengths[b]), int(label_lengths[b])
        alpha: dict[tuple[int, int], Tensor] = {(0, 0): blank.new_zeros(())}
        for t in range(frames):
            for u in range(labels + 1):
                ways = [alpha[t - 1, u] + blank[b, t - 1, u]] if t else []
                ways += [alpha[t, u - 1] + label[b, t, u - 1]] if u else []
                if ways:
                    alpha[t, u] = torch.stack(ways).logsumexp(0)
        losses.append(-alpha[frames - 1, labels] - blank[b, frames - 1, labels])
    return torch.stack(losses)


def forward(blank: Tensor, label: Tensor, frame_lengths: Tensor, label_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (B,) and alpha (B, T, U+1), fp64 and -inf outside the lengths, one anti-diagonal after the other."""
    batch, frames, _ = blank.shape
    below, right = blank.double(), label.double()  # noqa: MPS010 - a GPU has kernels and does not come here
    ahead = skew(below)
    right = skew(pad(right, (0, 1), value=-torch.inf))
    alpha = torch.full_like(ahead, -torch.inf)
    alpha[0, :, 0] = 0
    for d in range(1, len(alpha)):
        from_left = pad((alpha[d - 1] + right[d - 1])[:, :-1], (1, 0), value=-torch.inf)
        alpha[d] = torch.logaddexp(alpha[d - 1] + ahead[d - 1], from_left)
    alphas = unskew(alpha, frames)
    at = torch.arange(batch, device=blank.device), frame_lengths.long() - 1, label_lengths.long()
    loss = (-alphas[at] - blank[at]).to(blank.dtype)
    return loss, torch.where(inside(blank, frame_lengths, label_lengths), alphas, -torch.inf)


def backward(
    dloss: Tensor,
    blank: Tensor,
    label: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    alphas: Tensor,
    loss: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradients (B, T, U+1) and (B, T, U) with respect to blank and label, zero outside the lengths.

    Minus the probability of taking each step: exp(alpha + step + beta - log p), with log p = -loss.
    """
    frames, columns = blank.shape[1:]
    used = inside(blank, frame_lengths, label_lengths)
    below, right = blank.double(), label.double()  # noqa: MPS010 - a GPU has kernels and does not come here
    ahead = skew(torch.where(used, below, -torch.inf))
    right = skew(pad(torch.where(used[..., 1:], right, -torch.inf), (0, 1), value=-torch.inf))
    # The one way out of the lattice is the blank at the last frame of the last column.
    column = torch.arange(columns, device=blank.device)
    ends = column == label_lengths[:, None]
    last = (frame_lengths + label_lengths - 1)[:, None]
    to_below, to_right = torch.empty_like(ahead), torch.empty_like(ahead)
    beta = torch.full_like(ahead[0], -torch.inf)
    for d in range(len(ahead) - 1, -1, -1):
        to_below[d] = ahead[d] + torch.where(ends & (last == d), 0, beta)
        to_right[d] = right[d] + pad(beta[:, 1:], (0, 1), value=-torch.inf)
        beta = torch.logaddexp(to_below[d], to_right[d])
    reached, scale = alphas + loss[:, None, None], -dloss[:, None, None]
    dblank = torch.where(used, scale * (reached + unskew(to_below, frames)).exp(), 0)
    dlabel = torch.where(used[..., 1:], scale * (reached + unskew(to_right, frames)).exp()[..., :-1], 0)
    return dblank.to(blank.dtype), dlabel.to(blank.dtype)


def collapse(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log p of blank, label and rest, and the logsumexp of the logits; an utterance at a time, to bound the memory."""
    blanks, labels, rests, totals = zip(*[_collapse_one(x, target, blank) for x, target in zip(logits, targets)])
    return torch.stack(blanks), torch.stack(labels), torch.stack(rests), torch.stack(totals)


def collapse_backward(
    dblank: Tensor,
    dlabel: Tensor,
    drest: Tensor,
    logits: Tensor,
    targets: Tensor,
    rest: Tensor,
    total: Tensor,
    blank: int,
) -> Tensor:
    """The gradient with respect to the logits, in their type and with their strides."""
    dlogits = torch.empty_like(logits)
    for b, target in enumerate(targets):
        index, has_label = _classes(logits[b], target, blank)
        to_label = torch.where(has_label, dlabel[b], 0)
        reaching = torch.stack([dblank[b], pad(to_label, (0, 1)), drest[b]])
        p = (logits[b] - total[b][..., None]).exp()
        # Where there is no rest there is no gradient to it either, and exp(-rest) would be infinite.
        gradient = p * torch.where(drest[b] == 0, 0, drest[b] * (-rest[b]).exp())[..., None]
        gradient[..., blank] = dblank[b]
        own = torch.where(has_label, to_label, dblank[b][:, :-1])
        gradient[:, :-1].scatter_(-1, index, own[..., None])
        gradient -= p * reaching.sum(0)[..., None]
        dlogits[b] = torch.where(reaching.ne(0).any(0)[..., None], gradient, 0)
    return dlogits


def _collapse_one(logits: Tensor, target: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x = logits.to(torch.promote_types(logits.dtype, torch.float32), copy=True)
    index, has_label = _classes(x, target, blank)
    blank_logit = x[..., blank].clone()
    label_logit = torch.where(has_label, x[:, :-1].gather(-1, index)[..., 0], -torch.inf)
    x[..., blank] = -torch.inf
    x[:, :-1].scatter_(-1, index, -torch.inf)
    rest = x.logsumexp(-1)
    total = blank_logit.logaddexp(pad(label_logit, (0, 1), value=-torch.inf)).logaddexp(rest)
    return blank_logit - total, label_logit - total[:, :-1], rest - total, total


def _classes(logits: Tensor, target: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """Each cell's next label as an index (T, U, 1), the blank where the target is no label; and where it is one."""
    has_label = (target >= 0) & (target < logits.shape[-1]) & (target != blank)
    index = torch.where(has_label, target.long(), blank)
    return index[None, :, None].expand(len(logits), -1, 1), has_label


def inside(lattice: Tensor, frame_lengths: Tensor, label_lengths: Tensor) -> Tensor:
    """Which cells of a lattice (B, T, U+1) its utterances have."""
    frames, columns = (torch.arange(n, device=lattice.device) for n in lattice.shape[1:])
    return (frames < frame_lengths[:, None])[..., None] & (columns <= label_lengths[:, None])[:, None]


def skew(lattice: Tensor) -> Tensor:
    """(B, T, U+1) to (T+U, B, U+1): row d holds the cells (d - u, u), -inf where there is none."""
    frames, columns = lattice.shape[1:]
    # One more element a row than the next row's start: each column slides one place further.
    rows = pad(lattice.mT, (0, columns), value=-torch.inf).flatten(1)[:, :-columns]
    return rows.reshape(len(lattice), columns, frames + columns - 1).permute(2, 0, 1).contiguous()


def unskew(diagonals: Tensor, frames: int) -> Tensor:
    """The inverse of skew."""
    columns = diagonals.shape[-1]
    rows = pad(diagonals.permute(1, 2, 0).flatten(1), (0, columns))
    return rows.reshape(len(rows), columns, frames + columns)[..., :frames].mT.contiguous()
