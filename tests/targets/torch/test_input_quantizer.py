"""Activations in 8 bits in the emitted module: the package's numbers, gradients, modes and report."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mctc.evaluate.coreml.ops.quantization import dequantize, quantize
from mctc.targets.torch.runtime.fake_quantize import quantization_report, set_quantization
from mctc.targets.torch.runtime.input_quantizer import fake_quantize
from mctc.targets.torch.runtime.layers import ActivationQuantizer


@pytest.mark.parametrize("scale", [0.03, 1.0, 1e-6, 0.0625])
def test_it_computes_what_the_package_does_bit_for_bit(scale: float) -> None:
    rng, half = np.random.default_rng(0), np.float32(np.float16(scale))
    ties = (np.arange(-140, 140) + 0.5).astype(np.float32) * half
    x = np.concatenate(
        [rng.normal(size=4000).astype(np.float32) * half * 60, ties, [0.0, 1e30, -1e30]], dtype=np.float32
    )
    package = dequantize(quantize(x, half, "int8"), half)
    module = fake_quantize(torch.from_numpy(x), torch.tensor(scale)).numpy()
    assert module.dtype == np.float32
    assert np.array_equal(module, package)


def test_gradients_pass_straight_through_to_the_last_step_and_to_the_scale_if_it_learns() -> None:
    x = torch.tensor([0.3, -0.7, 200.0, -200.0, 126.9], requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)
    fake_quantize(x, scale).sum().backward()
    assert x.grad is not None
    assert scale.grad is not None
    assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0, 1.0]
    assert scale.grad.item() == pytest.approx(-0.3 + (-1 + 0.7) + 127 - 128 + 0.1, abs=1e-5)


def test_it_is_switched_with_the_weights_and_reports_what_it_costs() -> None:
    layer = ActivationQuantizer()
    model = torch.nn.ModuleDict({"proj_input": layer})
    x = torch.randn(2, 8, 1, 50, generator=torch.Generator().manual_seed(1))
    assert layer(x) is x
    assert [*model.state_dict()] == ["proj_input.scale"]
    assert not [*model.parameters()]
    set_quantization(model, "observe")
    assert layer(x) is x
    (row,) = quantization_report(model)
    assert row.name == "proj_input.scale"
    assert 35 < row.snr < 50
    assert "activations in int8" in str(row)
    set_quantization(model, "on")
    steps = layer(x) / layer.scale.half().float()
    assert torch.equal(steps, steps.round())
    assert not torch.equal(layer(x), x)
