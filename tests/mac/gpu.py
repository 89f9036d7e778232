"""The selective scan and the transducer loss as torch operations on a device, against their definitions in fp64."""

from __future__ import annotations

import torch
from torch import Tensor

from mctc.targets.torch.runtime.rnnt_loss import rnnt_loss
from mctc.targets.torch.runtime.rnnt_loss_reference import definition
from mctc.targets.torch.runtime.selective_scan import selective_scan
from tests.metal.errors import worst
from tests.metal.scan import Case


def scan_error(case: Case, device: str) -> float:
    """The worst error of results and gradients, relative to the largest value of each."""
    given = {name: each for name, each in case.inputs.items() if each is not None}
    placed = {name: each.detach().to(device).requires_grad_() for name, each in given.items()}
    flat = {name: each.flatten(1, 2) if name in ("B", "C") else each for name, each in placed.items()}
    outputs = selective_scan(**flat, softplus=case.softplus)
    gradients = torch.autograd.grad(outputs, list(placed.values()), [each.to(device) for each in case.output_gradients])
    results, expected = case.expected
    return worst([each.detach().cpu() for each in (*outputs, *gradients)], [*results, *expected])


def loss_error(device: str, *, batch: int = 3, frames: int = 17, labels: int = 6, classes: int = 21) -> float:
    """The worst error of the losses and of the gradient of the logits, relative to the largest value of each."""
    random = torch.Generator().manual_seed(batch * 100 + frames)
    logits = torch.randn(batch, frames, labels + 1, classes, generator=random)
    targets = torch.randint(1, classes, (batch, labels), generator=random)
    frame_lengths = torch.tensor([frames - 2 * each for each in range(batch)])
    label_lengths = torch.tensor([labels - each for each in range(batch)])
    placed = logits.to(device).requires_grad_()
    lengths = frame_lengths.to(device), label_lengths.to(device)
    found = rnnt_loss(placed, targets.to(device), *lengths, reduction="none")
    (gradient,) = torch.autograd.grad(found.sum(), placed)
    wide = logits.double().requires_grad_()
    expected = definition(*_cells(wide, targets), frame_lengths, label_lengths)
    (wanted,) = torch.autograd.grad(expected.sum(), wide)
    return worst([found.detach().cpu(), gradient.cpu()], [expected.detach(), wanted])


def _cells(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the blank, class 0, and of the next label, at every cell."""
    logs = logits.log_softmax(-1)
    index = targets[:, None, :, None].expand(-1, logs.shape[1], -1, 1)
    return logs[..., 0], logs[:, :, :-1].gather(-1, index)[..., 0]
