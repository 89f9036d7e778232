"""What people do with an emitted module: train, compile, export, mix precisions, spread over processes."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from .made import Made


def batch(made: Made, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (2, 48, 80), their lengths, labels (2, 4) and theirs."""
    generator = torch.Generator().manual_seed(seed)
    mel = torch.randn(2, 48, 80, generator=generator)
    targets = torch.randint(1, 90, (2, 4), generator=generator)
    return mel, torch.tensor([48, 33]), targets, torch.tensor([4, 2])


def gradients(model: Any) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def trained(model: Any, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Gradients of a step that drops what one seed draws."""
    torch.manual_seed(0)
    model.zero_grad(set_to_none=True)
    model(*inputs).backward()
    return gradients(model)


@pytest.fixture(params=["small", "conformer"])
def made(request: pytest.FixtureRequest) -> Made:
    return request.getfixturevalue(request.param)


def test_every_parameter_gets_a_gradient(made: Made) -> None:
    model = copy.deepcopy(made.model).train()
    found = trained(model, batch(made))
    assert set(found) == {name for name, _ in model.named_parameters()}
    assert all(torch.isfinite(grad).all() for grad in found.values())
    assert all(grad.abs().max() > 0 for grad in found.values())


def test_a_few_steps_learn_a_batch_by_heart(small: Made) -> None:
    torch.manual_seed(0)
    model = copy.deepcopy(small.model).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = model(*batch(small))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_checkpointing_changes_no_gradient(made: Made) -> None:
    model = copy.deepcopy(made.model).train()
    kept = trained(model, batch(made))
    model.set_gradient_checkpointing(True)
    again = trained(model, batch(made))
    for name, grad in kept.items():
        torch.testing.assert_close(again[name], grad, rtol=1e-4, atol=1e-6)


def test_parameters_start_as_the_papers_have_it(small: Made) -> None:
    torch.manual_seed(1)
    model = type(small.model)()
    mamba = model.encoder.layers[0].mamba
    states = torch.arange(1, 17).log().expand(128, 16)
    torch.testing.assert_close(mamba.A_log.detach(), states)
    steps = torch.nn.functional.softplus(mamba.dt_proj.bias.detach())
    assert 2**-8 - 1e-6 <= steps.min() < 2**-7  # the least step of the spec
    assert 5e-2 < steps.max() <= 0.1 + 1e-6
    bound = 1 / math.sqrt(64)
    weight = mamba.in_proj.weight.detach()
    assert weight.abs().max() <= bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    out = model.joiner.out
    assert (out.bias[101:] == -10000).all()
    assert (out.weight[101:] == 0).all()
    assert (out.weight[:101] != 0).any()


def test_drawing_anew_gives_other_weights(small: Made) -> None:
    model = copy.deepcopy(small.model)
    before = model.encoder.subsample.proj.weight.detach().clone()
    model.reset_parameters()
    assert not torch.equal(before, model.encoder.subsample.proj.weight)
    assert (model.joiner.out.bias[101:] == -10000).all()


def test_it_compiles_in_one_graph_with_equal_gradients(small: Made) -> None:
    torch.compiler.reset()
    model = copy.deepcopy(small.model).train()
    mel, lengths, *_ = batch(small)
    laid_out = mel.transpose(1, 2)[:, :, None]
    torch.manual_seed(0)
    eager = model.encoder(laid_out, lengths)
    eager.square().mean().backward()
    expected = gradients(model.encoder)
    model.zero_grad(set_to_none=True)
    compiled = torch.compile(model.encoder, backend="aot_eager", fullgraph=True)
    torch.manual_seed(0)
    result = compiled(laid_out, lengths)
    torch.testing.assert_close(result, eager, rtol=1e-5, atol=1e-5)
    result.square().mean().backward()
    for name, grad in gradients(model.encoder).items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-3, atol=1e-6)


def test_it_exports_with_the_scan_as_one_op_and_any_number_of_frames(small: Made) -> None:
    frames = torch.export.Dim("quarter", min=4, max=200)
    mel = torch.randn(1, 80, 1, 64)
    exported = torch.export.export(small.model.encoder, (mel,), dynamic_shapes={"mel": {3: 4 * frames}})
    scans = [node for node in exported.graph.nodes if "mctc.selective_scan" in str(node.target)]
    assert len(scans) == 2
    longer = torch.randn(1, 80, 1, 96)
    torch.testing.assert_close(exported.module()(longer), small.model.encoder(longer), rtol=1e-5, atol=1e-5)


def test_a_step_exports_with_its_state(small: Made) -> None:
    encoder = small.model.encoder

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, mel: Tensor, state: Any) -> Any:
            return self.encoder.step(mel, state)

    mel, state = torch.randn(1, 80, 1, 32), encoder.initial_state()
    exported = torch.export.export(Step(), (mel, state))
    result, after = exported.module()(mel, state)
    expected, carried = encoder.step(mel, state)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.layers[1].mamba.h, carried.layers[1].mamba.h, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="torch's own LSTM has no bf16 on this CPU")
def test_mixed_precision_computes_products_in_bf16_and_learns(made: Made) -> None:
    model = copy.deepcopy(made.model).train()
    inputs = batch(made)
    expected = model(*inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = next(iter(model.children()))(inputs[0].transpose(1, 2)[:, :, None], inputs[1])
        loss = model(*inputs)
    assert encoded.dtype in (torch.bfloat16, torch.float32)
    assert torch.isfinite(loss)
    assert loss.item() == pytest.approx(expected.item(), rel=0.05)
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())


WORKER = """
import sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

sys.path.insert(0, sys.argv[1])
from training import MctSmall

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = MctSmall()
spread = DistributedDataParallel(model)
torch.manual_seed(1)
mel, targets = torch.randn(2, 32, 80), torch.randint(1, 30, (2, 3))
lengths, labels = torch.tensor([32, 32]), torch.tensor([3, 3])
spread(mel[rank : rank + 1], lengths[:1], targets[rank : rank + 1], labels[:1]).backward()
alone = MctSmall()
alone.load_state_dict(model.state_dict())
alone(mel, lengths, targets, labels).backward()
worst = max((p.grad - q.grad).abs().max() / q.grad.abs().max() for p, q in zip(model.parameters(), alone.parameters()))
print("worst", float(worst), flush=True)
dist.destroy_process_group()
sys.exit(float(worst) > 1e-3)
"""


@pytest.mark.slow
def test_two_processes_share_the_gradients_of_one(mctc: Any, root: Path, tmp_path: Path) -> None:
    spec = root / "spec" / "mct_small.mct"
    sizes = (
        "depth=1",
        "width=32",
        "vocab=40",
        "dropout=0",
        "label_dropout=0",
    )  # chance differs from process to process
    built = mctc("build", spec, "--target", "torch", "-o", "built", *(word for size in sizes for word in ("-D", size)))
    assert built.returncode == 0, built.stderr
    (tmp_path / "worker.py").write_text(WORKER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*launch, str(tmp_path / "worker.py"), str(tmp_path / "built")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("worst") == 2
