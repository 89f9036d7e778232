"""Batches for the transducer loss, their loss by the definition in fp64, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mctc.targets.torch.runtime import rnnt_loss_reference
from mctc.targets.torch.runtime.rnnt_loss import rnnt_loss


@dataclass(frozen=True)
class Batch:
    logits: Tensor
    targets: Tensor
    frame_lengths: Tensor
    label_lengths: Tensor

    def loss(self, logits: Tensor, dim: int = -1) -> Tensor:
        laid_out = logits if dim == -1 else logits.permute(0, 3, 2, 1).contiguous()
        lengths = (self.frame_lengths, self.label_lengths)
        return rnnt_loss(laid_out, self.targets, *lengths, dim=dim, reduction="none")

    def defined(self, logits: Tensor) -> Tensor:
        blank, label = log_probs(logits, self.targets)
        return rnnt_loss_reference.definition(blank, label, self.frame_lengths, self.label_lengths)


def make(batch: int, frames: int, labels: int, classes: int, dtype: torch.dtype = torch.float32) -> Batch:
    """Lengths are random, but the longest in the first utterance and the shortest in the last of several."""
    torch.manual_seed(batch + frames + labels + classes)
    frame_lengths, label_lengths = torch.randint(1, frames + 1, (batch,)), torch.randint(0, labels + 1, (batch,))
    frame_lengths[-1], label_lengths[-1] = 1, 0
    frame_lengths[0], label_lengths[0] = frames, labels
    logits = (2 * torch.randn(batch, frames, labels + 1, classes)).to(dtype)
    return Batch(logits, torch.randint(1, classes, (batch, labels)), frame_lengths, label_lengths)


def log_probs(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    every = logits.log_softmax(-1)
    index = targets[:, None, :, None].expand(-1, every.shape[1], -1, 1)
    return every[..., 0], every[:, :, :-1].gather(-1, index)[..., 0]


def gradient(loss: Callable[[Tensor], Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
    """The losses and the gradient of a weighted sum of them."""
    leaf = logits.clone().requires_grad_()
    losses = loss(leaf)
    weights = torch.linspace(0.5, 2, len(losses), dtype=losses.dtype)
    return losses.detach(), torch.autograd.grad((losses * weights).sum(), leaf)[0]


def agree(found: Tensor, right: Tensor, within: float) -> None:
    assert torch.isfinite(found).all()
    assert (found.double() - right).norm() <= within * right.norm()
