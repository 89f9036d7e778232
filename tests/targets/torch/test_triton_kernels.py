"""The kernels in Triton: what they compute, and where they are taken."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import BaseTorchFunctionMode

from mctc.targets.torch.runtime import depthwise_op, layers
from mctc.targets.torch.runtime.layers import Conv2d

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="torch's builds for Linux bring Triton along")
def test_in_tritons_interpreter_the_kernels_compute_what_torch_does() -> None:
    command = [sys.executable, "-m", "tests.targets.torch.triton_interpreted"]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-3000:]
    errors = {case: max(each.values()) for case, each in json.loads(found.stdout).items()}
    assert {case: error for case, error in errors.items() if not error < 1e-5} == {}


@pytest.fixture
def has_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise_op, "triton_runs", lambda device: device.type == "cuda")


def layer(channels: int = 6, kernel: tuple[int, int] = (1, 4), pad: tuple[int, int] = (3, 0), **how: Any) -> Conv2d:
    return Conv2d(channels, channels, kernel, **({"groups": channels, "pad": pad} | how))


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_that_takes_the_kernel_has_its_gradients(monkeypatch: pytest.MonkeyPatch, bias: bool) -> None:
    monkeypatch.setattr(layers, "takes", lambda *_: True)
    made, x = layer(bias=bias).to("meta"), torch.empty(2, 6, 1, 20, device="meta", requires_grad=True)
    y = made(x)
    assert "mctc_depthwise" in type(y.grad_fn).__name__
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    y.backward(torch.empty_like(y))
    for each in (x, *made.parameters()):
        assert each.grad is not None
        assert each.grad.shape == each.shape


@dataclass
class OnGpu:
    """What is asked of a tensor before its kernel is chosen."""

    shape: tuple[int, ...] = (2, 6, 1, 20)
    dtype: torch.dtype = torch.bfloat16
    device: torch.device = field(default_factory=lambda: torch.device("cuda"))


def takes(x: Any, made: Conv2d) -> bool:
    return depthwise_op.takes(x, made.weight, made.stride, made.dilation, made.groups, made.pad, made.pad_feature)


OTHERS = {
    "looks ahead": layer(pad=(2, 1)),
    "a step, whose frames before are given": layer(pad=(0, 0)),
    "strided": layer(stride=(1, 2)),
    "dilated": layer(dilation=(1, 2)),
    "over features": layer(kernel=(3, 4), pad_feature=(1, 1)),
    "dense": layer(groups=1),
    "of two channels a group": layer(groups=3),
}


@pytest.mark.usefixtures("has_triton")
@pytest.mark.parametrize("made", OTHERS.values(), ids=OTHERS)
def test_other_convolutions_stay_torchs(made: Conv2d) -> None:
    assert takes(OnGpu(), layer())
    assert not takes(OnGpu(), made)


@pytest.mark.usefixtures("has_triton")
@pytest.mark.parametrize(
    "x", [OnGpu(device=torch.device("cpu")), OnGpu(dtype=torch.float64), OnGpu(shape=(2, 6, 3, 20))], ids=str
)
def test_other_inputs_stay_torchs(x: OnGpu) -> None:
    assert not takes(x, layer())


@pytest.mark.usefixtures("has_triton")
def test_who_looks_at_functions_sees_torchs_own() -> None:
    with BaseTorchFunctionMode():  # as EngineArithmetic, which rounds what they return
        assert not takes(OnGpu(), layer())
