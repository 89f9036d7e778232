"""The loss of a token-and-duration transducer (TDT), as an operation of torch with a gradient in closed form.

The joiner gives, beside the logits of the classes, those of durations: how many frames the search goes on. A label may
go on by any of them, the blank by one frame at least. The vocabulary is read as by rnnt_loss; `mctc::tdt_loss` sums
over all alignments. It walks the lattice by anti-diagonals in torch operations, on every device: T + U steps each way.

Source: Xu et al. 2023, "Efficient sequence transduction by jointly predicting tokens and durations" (arXiv 2304.06795).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from .rnnt_loss import REDUCTIONS, emitted_early, lattice
from .rnnt_loss_reference import inside, skew, unskew


def tdt_loss(
    logits: Tensor,
    spans: Tensor,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    durations: Sequence[int],
    blank: int = 0,
    sigma: float = 0.0,
    dim: int = -1,
    classes: int | None = None,
    reduction: str = "mean",
    fast_emit: float = 0.0,
    delay_penalty: float = 0.0,
) -> Tensor:
    """Minus log p(targets), summed over all alignments that end with a blank which goes on to the very end.

    Args:
        logits: those of the classes, as of rnnt_loss: (B, T, U+1, V), or with dim=1 (B, V, U+1, T). Those behind the
            `classes` take no part.
        spans: those of the durations, (B, T, U+1, D), or with dim=1 (B, D, U+1, T).
        durations: how many frames each of the D goes on, different numbers from 0 on.
        sigma: taken off the log-probability of each token, so that alignments of fewer tokens, with longer durations,
            are worth more (section 3.3 of the source).
        targets, frame_lengths, label_lengths, blank, reduction, fast_emit, delay_penalty: as of rnnt_loss.

    Returns: a number, or (B,) for "none"; infinite, with a gradient of zero, where no alignment fits the frames.

    Raises ValueError as rnnt_loss does, and for durations that are none or do not fit the spans.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"tdt_loss: reduction is {reduction!r}; it must be one of {', '.join(REDUCTIONS)}")
    told = tuple(durations)
    if min(told, default=-1) < 0 or max(told) < 1 or len(set(told)) < len(told) or sigma < 0:
        raise ValueError(
            f"tdt_loss: durations are {told} and sigma is {sigma}; no number may be negative or twice there"
        )
    wanted = (*logits.shape[:1], len(told), *logits.shape[2:])
    if dim != 1:
        wanted = (*logits.shape[:3], len(told))
    if tuple(spans.shape) != wanted:
        raise ValueError(f"tdt_loss: spans are {tuple(spans.shape)}; beside these logits they must be {wanted}")
    tokens = logits if classes is None else logits.narrow(dim, 0, classes)
    cells = lattice(tokens, targets, frame_lengths, label_lengths, blank=blank, dim=dim, loss="tdt_loss")
    frames, labels = (each.to(cells.blank.device, torch.int32) for each in (frame_lengths, label_lengths))
    label = emitted_early(cells.label, frames, fast_emit, delay_penalty)
    last = spans.permute(0, 3, 2, 1) if dim == 1 else spans
    goes_on = last.to(cells.blank.dtype).log_softmax(-1)
    loss: Tensor = torch.ops.mctc.tdt_loss(cells.blank - sigma, label - sigma, goes_on, frames, labels, list(told))[0]
    return REDUCTIONS[reduction](loss)


def _forward(
    blank: Tensor, label: Tensor, spans: Tensor, frame_lengths: Tensor, label_lengths: Tensor, durations: list[int]
) -> tuple[Tensor, Tensor]:
    """The loss (B,), NaN where a length is out of bounds, and alpha (B, T, U+1), log p of all ways to a cell."""
    batch, frames, columns = blank.shape
    ahead, right = _arcs(blank, label, spans)
    alpha = torch.full_like(ahead[:, 0], -torch.inf)
    alpha[0, :, 0] = 0
    for n in range(1, len(alpha)):
        ways = [alpha[n - d] + ahead[n - d, k] for k, d in enumerate(durations) if 0 < d <= n]
        before = [(k, n - d - 1) for k, d in enumerate(durations) if d < n]
        ways += [pad((alpha[m] + right[m, k])[:, :-1], (1, 0), value=-torch.inf) for k, m in before]
        if ways:
            alpha[n] = torch.stack(ways).logsumexp(0)
    alphas = unskew(alpha, frames)
    bounds = frame_lengths.clamp(1, frames), label_lengths.clamp(0, columns - 1)
    of, ends = torch.arange(batch, device=blank.device), []
    for k, d in enumerate(durations):
        at = of, (bounds[0] - d).clamp(0, frames - 1).long(), bounds[1].long()
        last = alphas[at] + blank[at] + spans[at][:, k]
        ends.append(torch.where((frame_lengths >= d) & (d > 0), last, -torch.inf))
    known = (frame_lengths == bounds[0]) & (label_lengths == bounds[1])
    loss = torch.where(known, -torch.stack(ends).logsumexp(0), torch.nan)
    return loss.to(blank.dtype), torch.where(inside(blank, frame_lengths, label_lengths), alphas, -torch.inf)


def _backward(
    dloss: Tensor,
    blank: Tensor,
    label: Tensor,
    spans: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    alphas: Tensor,
    loss: Tensor,
    durations: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients with respect to blank, label and spans: minus the probability of taking each arc,
    exp(alpha + arc + beta - log p), with log p = -loss."""
    frames, columns = blank.shape[1:]
    used = inside(blank, frame_lengths, label_lengths)
    masked = blank.masked_fill(~used, -torch.inf), label.masked_fill(~used[..., 1:], -torch.inf)
    ahead, right = _arcs(*masked, spans)
    end = torch.arange(columns, device=blank.device) == label_lengths[:, None]
    last = (frame_lengths + label_lengths)[:, None]
    to_ahead, to_right = torch.full_like(ahead, -torch.inf), torch.empty_like(right)
    nowhere = torch.full_like(ahead[0, 0], -torch.inf)
    beta = dict.fromkeys(range(len(ahead), len(ahead) + max(durations) + 1), nowhere)
    for n in range(len(ahead) - 1, -1, -1):
        for k, d in enumerate(durations):
            if d:
                to_ahead[n, k] = ahead[n, k] + torch.where(end & (last == n + d), 0, beta[n + d])
            to_right[n, k] = right[n, k] + pad(beta[n + 1 + d][:, 1:], (0, 1), value=-torch.inf)
        beta[n] = torch.cat([to_ahead[n], to_right[n]]).logsumexp(0)
    known = loss.isfinite()[:, None, None, None]
    passed = torch.where(known, alphas[..., None] + loss[:, None, None, None], -torch.inf)
    scale = -dloss[:, None, None, None]
    below, beside = (scale * (passed + _unskewed(each, frames)).exp() for each in (to_ahead, to_right))
    gradients = below.sum(-1), beside[:, :, :-1].sum(-1), below + beside
    return tuple(each.to(blank.dtype) for each in gradients)  # type: ignore[return-value]


def _arcs(blank: Tensor, label: Tensor, spans: Tensor) -> tuple[Tensor, Tensor]:
    """log p of going on with a blank and with a label by each duration: (T+U, D, B, U+1), by anti-diagonals."""
    wide = _recursion_type(blank)
    goes_on = spans.to(wide).permute(3, 0, 1, 2)
    tokens = blank.to(wide), pad(label.to(wide), (0, 1), value=-torch.inf)
    ahead, right = (skew((each + goes_on).flatten(0, 1)) for each in tokens)
    by_duration = -1, *goes_on.shape[:2], blank.shape[2]
    return ahead.reshape(by_duration), right.reshape(by_duration)


def _unskewed(diagonals: Tensor, frames: int) -> Tensor:
    """(B, T, U+1, D) of (T+U, D, B, U+1)."""
    cells = unskew(diagonals.flatten(1, 2), frames)
    return cells.reshape(*diagonals.shape[1:3], *cells.shape[1:]).permute(1, 2, 3, 0)


def _recursion_type(blank: Tensor) -> torch.dtype:
    return torch.float64 if blank.device.type == "cpu" else blank.dtype


def _forward_fake(blank: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return blank.new_empty(len(blank)), blank.new_empty(blank.shape, dtype=_recursion_type(blank))


def _backward_fake(_: Tensor, blank: Tensor, label: Tensor, spans: Tensor, *__: Any) -> tuple[Tensor, Tensor, Tensor]:
    return blank.new_empty(blank.shape), blank.new_empty(label.shape), blank.new_empty(spans.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.durations = inputs
    loss, alphas = output
    ctx.save_for_backward(*tensors, alphas, loss)


def _differentiate(ctx: Any, dloss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    gradients = torch.ops.mctc.tdt_loss_backward(dloss, *ctx.saved_tensors, ctx.durations)
    return *gradients, None, None, None


LATTICE = "Tensor blank, Tensor label, Tensor spans, Tensor frame_lengths, Tensor label_lengths"


def _register() -> None:
    forward = f"({LATTICE}, int[] durations) -> (Tensor loss, Tensor alphas)"
    backward = (
        f"(Tensor dloss, {LATTICE}, Tensor alphas, Tensor loss, int[] durations)"
        " -> (Tensor dblank, Tensor dlabel, Tensor dspans)"
    )
    loss = torch.library.custom_op("mctc::tdt_loss", _forward, mutates_args=(), schema=forward)
    loss.register_fake(_forward_fake)
    loss.register_autograd(_differentiate, setup_context=_keep)
    gradient = torch.library.custom_op("mctc::tdt_loss_backward", _backward, mutates_args=(), schema=backward)
    gradient.register_fake(_backward_fake)


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
if not hasattr(torch.ops.mctc, "tdt_loss"):
    _register()
