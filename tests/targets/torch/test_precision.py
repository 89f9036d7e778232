"""Modules in 16 bits, under autocast and under FSDP's mixed precision: near what they are in fp32."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.reduced import SIZES

from .made import Made, beside, listed, make_spec

NEAR = {torch.float16: 4e-3, torch.bfloat16: 3e-2}
MORE = [
    pytest.param(name, marks=pytest.mark.slow)
    for name in ("conformer_streaming", "conmamba_ctc", "mct2_small", "parakeet_ctc", "rnnt_lstm")
]


@pytest.fixture(params=["small", "conformer", *MORE])
def made(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Made:
    if request.param in SIZES:
        return make_spec(root / "spec" / f"{request.param}.mct", tmp_path, **SIZES[request.param])
    found: Made = request.getfixturevalue(request.param)
    return found


def first(model: Any) -> Any:
    return next(child for _, child in model.named_children())


def heard(made: Made, frames: int = 32) -> Tensor:
    function = next(iter(made.whole.functions.values()))
    sizes = [axis.extent.value for axis in function.inputs[0].type.axes[1:-1]]
    return torch.randn(2, *sizes, frames, generator=torch.Generator().manual_seed(0))


def assert_near(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    real = wanted > -5000  # padding classes apart
    assert float(((found.float() - wanted).abs() * real).max() / wanted[real].abs().max()) <= NEAR[dtype]


@pytest.mark.parametrize("dtype", NEAR)
def test_a_model_cast_to_16_bits_trains_and_stays_near(made: Made, dtype: torch.dtype) -> None:
    x, lengths = heard(made), torch.tensor([32, 21])
    masks = beside(next(iter(made.whole.functions.values())), 32)
    cast = first(copy.deepcopy(made.model).to(dtype))
    with torch.no_grad():
        wanted = first(made.model)(x, *masks, lengths)
        assert_near(cast(x.to(dtype), *masks, lengths), wanted, dtype)
    result = cast.train()(x.to(dtype), *masks, lengths)
    assert result.dtype == dtype
    result.float().clamp(min=-100).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in cast.parameters())


@pytest.mark.parametrize("dtype", NEAR)
def test_a_stream_in_16_bits_stays_near(made: Made, dtype: torch.dtype) -> None:
    component = first(made.model)
    if not hasattr(component, "initial_state"):
        pytest.skip("it has no stream")
    x, takes = heard(made, 192), "valid" in component.step.__annotations__
    results = []
    for each, kind in ((component, torch.float32), (first(copy.deepcopy(made.model).to(dtype)), dtype)):
        state, parts = each.initial_state(2), []
        with torch.no_grad():
            for chunk in x.to(kind).split(64, dim=3):
                part, state = each.step(chunk, *([torch.ones(64)] if takes else []), state)
                parts.append(part)
        results.append(torch.cat(parts, 3))
    assert_near(results[1], results[0], dtype)


@pytest.mark.parametrize("dtype", NEAR)
def test_every_component_runs_under_autocast(made: Made, dtype: torch.dtype) -> None:
    for name, function in made.whole.functions.items():
        inputs = made.inputs(name, B=2, T=32, U=3)
        given = [torch.from_numpy(a).float() if a.dtype.kind == "f" else torch.from_numpy(a) for a in inputs.values()]
        component = getattr(copy.deepcopy(made.model), name).train()
        with torch.autocast("cpu", dtype):
            results = listed(component(*given))
        assert len(results) == len(function.results)
        sum(each.float().clamp(min=-100).square().mean() for each in results).backward()  # type: ignore[union-attr]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in component.parameters())


SHARDED = """
import sys
import torch
import torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

sys.path.insert(0, sys.argv[1])
from training import MctTiny

dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}/rendezvous", rank=0, world_size=1)
torch.manual_seed(0)
model = MctTiny()
mel, targets = torch.randn(2, 40, 80), torch.randint(1, 30, (2, 3))
lengths, labels = torch.tensor([40, 29]), torch.tensor([3, 2])
whole = model(mel, lengths, targets, labels)
policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
for layer in model.encoder.layers:
    fully_shard(layer, mp_policy=policy)
fully_shard(model, mp_policy=policy)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
losses = []
for _ in range(4):
    loss = model(mel, lengths, targets, labels)
    optimizer.zero_grad()
    loss.backward()
    assert all(torch.isfinite(p.grad.full_tensor()).all() for p in model.parameters())
    assert all(p.dtype == torch.float32 for p in model.parameters())
    optimizer.step()
    losses.append(loss.item())
print(whole.item(), losses)
dist.destroy_process_group()
sys.exit(not (abs(losses[0] - whole.item()) < 0.02 * whole.item() and losses[-1] < losses[0]))
"""


@pytest.mark.slow
def test_it_trains_under_fully_sharded_mixed_precision(mctc: Any, root: Path, tmp_path: Path) -> None:
    sizes = [text for name, value in SIZES["mct_tiny"].items() for text in ("-D", f"{name}={value}")]
    built = mctc("build", root / "spec" / "mct_tiny.mct", "--target", "torch", "-o", "built", *sizes)
    assert built.returncode == 0, built.stderr
    (tmp_path / "worker.py").write_text(SHARDED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "worker.py"), str(tmp_path / "built")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
