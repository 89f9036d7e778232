"""The four launches of the transducer loss, and what they have to give: definitions in fp64. Checks as in scan.py."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from mctc.targets.torch.runtime import rnnt_loss_gpu
from mctc.targets.torch.runtime.rnnt_loss_reference import definition

from .errors import Check, worst

# exp of a difference of log-probabilities in fp32: of a hundred steps of a few units each, 1e-4 is left.
LATTICE_TOLERANCE = 1e-4
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}


@dataclass(frozen=True)
class Lattice:
    frames: int
    labels: int
    frame_lengths: tuple[int, ...]
    label_lengths: tuple[int, ...]

    @functools.cached_property
    def lengths(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.frame_lengths, dtype=torch.int32), torch.tensor(self.label_lengths, dtype=torch.int32)

    @functools.cached_property
    def steps(self) -> tuple[Tensor, Tensor]:
        """log p of the blank and of the next label, of each cell."""
        random = torch.Generator().manual_seed(self.frames)
        cells = (len(self.frame_lengths), self.frames)
        blank = -3 * torch.rand(*cells, self.labels + 1, generator=random)
        return blank, -3 * torch.rand(*cells, self.labels, generator=random)

    @functools.cached_property
    def dloss(self) -> Tensor:
        return torch.linspace(0.5, 2.0, len(self.frame_lengths))

    @functools.cached_property
    def expected(self) -> tuple[list[Tensor], list[Tensor]]:
        """The loss; its gradients."""
        wide = [each.double().requires_grad_() for each in self.steps]
        loss = definition(*wide, *self.lengths)
        gradients = torch.autograd.grad(loss, wide, self.dloss.double(), allow_unused=True, materialize_grads=True)
        return [loss.detach()], list(gradients)


LATTICES = {
    "ragged": Lattice(7, 5, (7, 1, 3), (5, 0, 2)),
    "one cell": Lattice(1, 0, (1,), (0,)),
    "one frame": Lattice(1, 4, (1, 1), (4, 3)),
    "no labels": Lattice(9, 0, (9, 2), (0, 0)),
    "more columns than a SIMD group": Lattice(4, 40, (4, 3), (40, 33)),
    "more columns than a threadgroup": Lattice(5, 70, (5, 4, 2), (70, 64, 31)),  # with a WIDTH of 32
}


def loss_check(name: str) -> Check:
    case = LATTICES[name]
    return lambda: worst(rnnt_loss_gpu.forward(*case.steps, *case.lengths)[:1], case.expected[0]) / LATTICE_TOLERANCE


def gradient_check(name: str) -> Check:
    case = LATTICES[name]
    loss, alphas = rnnt_loss_gpu.forward(*case.steps, *case.lengths)

    def error() -> float:
        gradients = rnnt_loss_gpu.backward(case.dloss, *case.steps, *case.lengths, alphas, loss)
        return worst(gradients, case.expected[1]) / LATTICE_TOLERANCE

    return error


@dataclass(frozen=True)
class Vocabulary:
    classes: int
    innermost: bool
    """Whether the logits of a cell lie side by side, or those of neighbouring frames."""
    dtype: torch.dtype = torch.float32

    @functools.cached_property
    def logits(self) -> Tensor:
        """(batch, frames, columns, classes)"""
        random = torch.Generator().manual_seed(self.classes)
        logits = (2 * torch.randn(2, 11, 4, self.classes, generator=random)).to(self.dtype)
        return logits if self.innermost else logits.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)

    @functools.cached_property
    def targets(self) -> Tensor:
        """Labels, and what is none: the blank, padding, a class past the last."""
        return torch.tensor([[1, 0, -1], [self.classes, 1, self.classes - 1]], dtype=torch.int32)

    @functools.cached_property
    def outcomes(self) -> tuple[Tensor, list[Tensor]]:
        """The logits in fp64; log p of the blank (class 0), the next label and all the rest, computed from them."""
        logits = self.logits.double().requires_grad_()
        p = logits.log_softmax(-1)
        index = self.targets.long().clamp(0, self.classes - 1)[:, None, :, None].expand(-1, p.shape[1], -1, 1)
        real = ((self.targets > 0) & (self.targets < self.classes))[:, None]
        label = torch.where(real, p[:, :, :-1].gather(-1, index)[..., 0], -torch.inf)
        rest = torch.ones_like(p, dtype=torch.bool)
        rest[:, :, :-1].scatter_(-1, index, ~real[..., None].expand_as(index))
        rest[..., 0] = False
        return logits, [p[..., 0], label, p.where(rest, -torch.inf).logsumexp(-1)]

    @functools.cached_property
    def gradients(self) -> list[Tensor]:
        """With respect to the outcomes; none where log p is -inf, nor in the first frame, as in padding."""
        random = torch.Generator().manual_seed(1)
        _, outcomes = self.outcomes
        gradients = [torch.randn(each.shape, generator=random).where(each.isfinite(), 0) for each in outcomes]
        for each in gradients:
            each[0, 0] = 0
        return gradients

    @functools.cached_property
    def expected(self) -> tuple[list[Tensor], list[Tensor]]:
        """The outcomes; the gradient with respect to the logits."""
        logits, outcomes = self.outcomes
        finite = [each.where(each.isfinite(), 0) for each in outcomes]
        (gradient,) = torch.autograd.grad(finite, logits, [each.double() for each in self.gradients])
        return [each.detach() for each in outcomes], [gradient.nan_to_num()]


VOCABULARIES = {
    f"{classes} classes, {'vocabulary' if innermost else 'time'} innermost, {str(dtype).split('.')[1]}": Vocabulary(
        classes, innermost, dtype
    )
    for classes in (2, 37, 300)
    for innermost in (True, False)
    for dtype in TOLERANCE
}


def collapse_check(name: str) -> Check:
    case = VOCABULARIES[name]
    return lambda: worst(rnnt_loss_gpu.collapse(case.logits, case.targets, 0)[:3], case.expected[0]) / 1e-4


def collapse_gradient_check(name: str) -> Check:
    case = VOCABULARIES[name]
    *_, rest, total = rnnt_loss_gpu.collapse(case.logits, case.targets, 0)

    def error() -> float:
        gradient = rnnt_loss_gpu.collapse_backward(*case.gradients, case.logits, case.targets, rest, total, 0)
        return worst([gradient], case.expected[1]) / TOLERANCE[case.dtype]

    return error
