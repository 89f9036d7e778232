"""rnnt_loss.metal, launched as on a Mac and run by the engine, against the definition in fp64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import rnnt_loss_gpu
from mctc.targets.torch.runtime.rnnt_loss_reference import definition

from .conftest import needs_engine

pytestmark = [needs_engine, pytest.mark.usefixtures("mps")]

# (frames, labels of the lattice, frames of each utterance, labels of each)
LATTICES = {
    "ragged": (7, 5, [7, 1, 3], [5, 0, 2]),
    "one cell": (1, 0, [1], [0]),
    "one frame": (1, 4, [1, 1], [4, 3]),
    "no labels": (9, 0, [9, 2], [0, 0]),
    "more columns than a SIMD group": (4, 40, [4, 3], [40, 33]),
}
TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def lattice(frames: int, labels: int, batch: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(frames)
    return (
        -torch.rand(batch, frames, labels + 1, generator=random) * 3,
        -torch.rand(batch, frames, labels, generator=random) * 3,
    )


def check_lattice(frames: int, labels: int, frame_lengths: list[int], label_lengths: list[int]) -> None:
    lengths = torch.tensor(frame_lengths, dtype=torch.int32), torch.tensor(label_lengths, dtype=torch.int32)
    blank, label = lattice(frames, labels, len(frame_lengths))
    dloss = torch.linspace(0.5, 2.0, len(frame_lengths))
    loss, alphas = rnnt_loss_gpu.forward(blank, label, *lengths)
    gradients = rnnt_loss_gpu.backward(dloss, blank, label, *lengths, alphas, loss)

    wide = [each.double().requires_grad_() for each in (blank, label)]
    expected = definition(*wide, *lengths)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-5)
    wanted = torch.autograd.grad(expected, wide, dloss.double(), allow_unused=True, materialize_grads=True)
    for gradient, each in zip(gradients, wanted, strict=True):
        # exp of a difference of log-probabilities in fp32: 100 of them, of a few units each, leave 1e-4
        torch.testing.assert_close(gradient.double(), each, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", LATTICES)
def test_the_loss_and_its_gradient_are_those_of_the_definition(name: str) -> None:
    check_lattice(*LATTICES[name])


def test_a_lattice_wider_than_a_threadgroup_is_walked_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnnt_loss_gpu, "WIDTH", 32)
    check_lattice(5, 70, [5, 4, 2], [70, 64, 31])


def test_a_wrong_length_shows_in_the_loss() -> None:
    blank, label = lattice(4, 3, 2)
    lengths = torch.tensor([5, 4], dtype=torch.int32), torch.tensor([3, 3], dtype=torch.int32)
    loss, _ = rnnt_loss_gpu.forward(blank, label, *lengths)
    assert loss.isnan().tolist() == [True, False]


def collapsed(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor]:
    """log p of the blank, the next label and all the rest, from the log-softmax."""
    p = logits.log_softmax(-1)
    index = targets.long().clamp(0, logits.shape[-1] - 1)[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
    real = ((targets >= 0) & (targets < logits.shape[-1]) & (targets != blank))[:, None]
    label = torch.where(real, p[:, :, :-1].gather(-1, index)[..., 0], -torch.inf)
    rest = torch.ones_like(p, dtype=torch.bool)
    rest[..., blank] = False
    rest[:, :, :-1].scatter_(-1, index, ~real[..., None].expand_as(index) & rest[:, :, :-1].gather(-1, index))
    return p[..., blank], label, torch.where(rest, p, -torch.inf).logsumexp(-1)


@pytest.mark.parametrize("innermost", [True, False], ids=["vocabulary innermost", "time innermost"])
@pytest.mark.parametrize("classes", [2, 37, 300])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_collapsed_vocabulary_is_that_of_the_log_softmax(dtype: torch.dtype, classes: int, innermost: bool) -> None:
    random = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(2, 3, 4, classes, generator=random)  # batch, frames, columns
    logits = logits.to(dtype)
    if not innermost:
        logits = logits.permute(0, 3, 2, 1).contiguous().permute(0, 3, 2, 1)
    targets = torch.tensor([[1, 0, -1], [classes, 1, classes - 1]], dtype=torch.int32)  # also what is no label
    *outputs, total = rnnt_loss_gpu.collapse(logits, targets, 0)
    wide = logits.double().requires_grad_()
    expected = collapsed(wide, targets, 0)
    for output, each in zip(outputs, expected, strict=True):
        torch.testing.assert_close(output.double(), each, rtol=1e-5, atol=1e-5)

    gradients = [torch.randn(each.shape, generator=random).where(each.isfinite(), 0) for each in outputs]
    gradients[0][0, 0], gradients[1][0, 0], gradients[2][0, 0] = 0, 0, 0  # a frame of padding
    dlogits = rnnt_loss_gpu.collapse_backward(*gradients, logits, targets, outputs[2], total, 0)
    finite = [each.where(each.isfinite(), 0) for each in expected]
    (wanted,) = torch.autograd.grad(finite, wide, [each.double() for each in gradients])
    torch.testing.assert_close(dlogits.double(), wanted.nan_to_num(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
