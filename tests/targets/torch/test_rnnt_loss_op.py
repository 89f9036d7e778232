"""The transducer loss as operations: what autograd, autocast, torch.compile and torch.export see."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from torch import Tensor

from bench.gpu.training_runtime import import_from
from mctc.targets.torch.runtime import rnnt_loss as module
from mctc.targets.torch.runtime.rnnt_loss import collapse, rnnt_loss

from .rnnt_loss_cases import gradient, make


def test_gradcheck_of_both_operations() -> None:
    batch = make(2, 3, 2, 5, torch.float64)
    assert torch.autograd.gradcheck(batch.loss, batch.logits.requires_grad_())
    laid_out = batch.logits.detach().permute(0, 3, 2, 1).contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: collapse(x, batch.targets, dim=1).rest, laid_out)


def test_opcheck(path: str) -> None:
    batch = make(2, 4, 3, 18)
    lengths = (batch.frame_lengths.int(), batch.label_lengths.int())
    logits, targets = batch.logits.requires_grad_(), batch.targets.int()
    ops = torch.ops.mctc
    torch.library.opcheck(ops.rnnt_collapse.default, (logits, targets, 0))
    blank, label, rest, total = (each.detach() for each in ops.rnnt_collapse(logits, targets, 0))
    lattice = (blank.requires_grad_(), label.requires_grad_(), *lengths)
    torch.library.opcheck(ops.rnnt_loss.default, lattice)
    loss, alphas = ops.rnnt_loss(*(each.detach() for each in lattice))
    gradients = (loss, *(each.detach() for each in lattice), alphas, loss)
    torch.library.opcheck(ops.rnnt_loss_backward.default, gradients)
    steps = ops.rnnt_loss_backward(*gradients)
    cells = (*steps, torch.zeros_like(rest), logits.detach(), targets, rest, total, 0)
    torch.library.opcheck(ops.rnnt_collapse_backward.default, cells)


def test_compiled_it_is_the_same() -> None:
    batch = make(2, 5, 3, 12)
    compiled = torch.compile(batch.loss, backend="aot_eager", fullgraph=True)
    for one, other in zip(gradient(compiled, batch.logits), gradient(batch.loss, batch.logits)):
        assert torch.equal(one, other)


def test_exported_it_is_two_nodes() -> None:
    class Training(torch.nn.Module):
        def forward(self, logits: Tensor, targets: Tensor, frames: Tensor, labels: Tensor) -> Tensor:
            return rnnt_loss(logits, targets, frames, labels, dim=1)

    batch = make(2, 5, 3, 12)
    arguments = (batch.logits.permute(0, 3, 2, 1).contiguous(), batch.targets, batch.frame_lengths, batch.label_lengths)
    program = torch.export.export(Training(), arguments)
    named = [str(node.target) for node in program.graph.nodes if "mctc" in str(node.target)]
    assert named == ["mctc.rnnt_collapse.default", "mctc.rnnt_loss.default"]
    torch.testing.assert_close(program.module()(*arguments), Training()(*arguments))


def test_under_autocast_the_loss_is_fp32() -> None:
    batch = make(2, 5, 3, 12, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert batch.loss(batch.logits).dtype == torch.float32


def test_a_copy_of_the_files_works_beside_the_original(tmp_path: Path) -> None:
    shutil.copytree(Path(module.__file__).parent, tmp_path / "training")
    try:
        copy = import_from(tmp_path / "training", "copied_training", "rnnt_loss")
        batch = make(2, 5, 3, 12)
        arguments = (batch.logits, batch.targets, batch.frame_lengths, batch.label_lengths)
        assert copy.rnnt_loss is not rnnt_loss
        assert torch.equal(copy.rnnt_loss(*arguments), rnnt_loss(*arguments))
    finally:
        for name in [name for name in sys.modules if name.startswith("copied_training")]:
            del sys.modules[name]
