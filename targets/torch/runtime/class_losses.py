"""Losses of tasks beside the transcript: a class for each frame, or one for each utterance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .bounds import readable

IGNORED = -100  # the target that torch's cross-entropy leaves out


def frame_classes(
    logits: Tensor,
    targets: Tensor,
    lengths: Tensor,
    *,
    label_smoothing: float = 0.0,
    ignored: int | None = None,
) -> Tensor:
    """Cross-entropy of a class for each frame, the mean over the frames that exist and are not ignored.

    Args:
        logits: (B, V, 1, T). targets: (B, T) integers, padded with anything. lengths: (B,) integers, of frames.
        ignored: a class that costs nothing where it is the target.

    Raises ValueError for shapes that don't fit, and for targets that are no class, if they are on the CPU.
    """
    x = logits[:, :, 0]
    if targets.shape != (x.shape[0], x.shape[2]):
        raise ValueError(
            f"frame_classes: targets are {tuple(targets.shape)}; beside {x.shape[2]} frames of {x.shape[0]} utterances "
            f"they must be {(x.shape[0], x.shape[2])}"
        )
    before = torch.arange(x.shape[2], device=x.device) < lengths.to(x.device)[:, None]
    return _cross_entropy("frame_classes", x, targets, before, label_smoothing, ignored)


def utterance_classes(
    logits: Tensor,
    targets: Tensor,
    lengths: Tensor,
    *,
    label_smoothing: float = 0.0,
    ignored: int | None = None,
) -> Tensor:
    """Cross-entropy of one class for each utterance, whose logits are the mean over its frames; the mean over those
    that are not ignored.

    Args:
        logits: (B, V, 1, T). targets: (B,) integers. lengths: (B,) integers, of frames.
        ignored: a class that costs nothing where it is the target.

    Raises ValueError as frame_classes does.
    """
    x = logits[:, :, 0]
    if targets.shape != (x.shape[0],):
        raise ValueError(f"utterance_classes: targets are {tuple(targets.shape)}; they must be {(x.shape[0],)}")
    before = torch.arange(x.shape[2], device=x.device) < lengths.to(x.device)[:, None]
    summed = x.to(torch.promote_types(x.dtype, torch.float32)).where(before[:, None], 0).sum(-1)
    mean = summed / lengths.to(x.device).clamp(min=1)[:, None]
    return _cross_entropy(
        "utterance_classes", mean, targets, torch.ones_like(targets, dtype=torch.bool), label_smoothing, ignored
    )


def _cross_entropy(
    name: str, x: Tensor, targets: Tensor, counted: Tensor, label_smoothing: float, ignored: int | None
) -> Tensor:
    """The mean over what is counted; 0 where nothing is. A target that is no class makes it infinite."""
    targets = targets.to(x.device).long()
    counted = counted.to(x.device)
    counted = counted if ignored is None else counted & (targets != ignored)
    wrong = counted & ((targets < 0) | (targets >= x.shape[1]))
    if readable(targets) and bool(wrong.any()):
        raise ValueError(f"{name}: a target is {int(targets[wrong][0])}; classes are 0 to {x.shape[1] - 1}")
    wanted = targets.masked_fill(~counted | wrong, IGNORED)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    total = functional.cross_entropy(
        wide, wanted, ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="sum"
    )
    return (total / counted.sum().clamp(min=1)).masked_fill(wrong.any(), torch.inf)
