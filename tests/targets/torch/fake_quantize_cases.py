"""What the tests of fake quantisation share: weights, a layer, equality with the package."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mctc.ir.program import Quantization
from mctc.quantize import Palette, Scaled, quantize
from mctc.targets.torch.runtime.fake_quantize import (
    FakeQuantizer,
    Observation,
    Quantize,
    codes_of,
    scale_of,
    set_quantization,
)

INT8, INT4, PALETTE = Quantize("int8", 8), Quantize("int4", 4), Quantize("palette", 4)
SCHEMES = [INT8, INT4, PALETTE]


def weight(*shape: int, seed: int = 0) -> Tensor:
    return 0.05 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def quantizer(how: Quantize, mode: str = "on") -> FakeQuantizer:
    made = FakeQuantizer(how)
    set_quantization(made, mode)
    return made


class Layer(nn.Module):
    """A 1x1 convolution with a quantised weight, as an emitted module holds it."""

    def __init__(self, how: Quantize, outputs: int = 16, inputs: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight(outputs, inputs, 1, 1))
        self.weight_quantizer = FakeQuantizer(how)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight_quantizer(self.weight))


def assert_is_the_packages(values: Tensor, how: Quantize) -> None:
    """Scales, codes and values equal those of mctc.quantize, bit for bit."""
    with np.errstate(over="ignore"):  # 127 times a scale near 516 is beyond fp16, in both
        stored = quantize(values.numpy(), Quantization(how.scheme, how.bits, how.group, how.axis))
        expected = stored.dequantize()
    scale, codes, held = scale_of(values, how), codes_of(values, how), quantizer(how)(values)
    expected_scale = stored.scale if isinstance(stored, Scaled) else stored.table
    assert scale.numpy().dtype == expected_scale.dtype
    assert scale.shape == expected_scale.shape
    assert scale.numpy().tobytes() == expected_scale.tobytes()
    assert codes.numpy().dtype == stored.codes.dtype
    np.testing.assert_array_equal(codes.numpy(), stored.codes)
    assert held.dtype == torch.float32
    assert held.shape == values.shape
    assert held.numpy().tobytes() == expected.astype(np.float32).tobytes()


def assert_measured(row: Observation, values: Tensor) -> None:
    """The row is what mctc.quantize's own result gives in fp64."""
    stored = quantize(values.numpy(), Quantization(row.how.scheme, row.how.bits))
    exact = values.double().numpy()
    error = stored.dequantize().astype(np.float64) - exact
    assert row.snr == pytest.approx(10 * np.log10((exact**2).sum() / (error**2).sum()), abs=1e-3)
    if isinstance(stored, Palette):
        assert row.saturated == 0
        assert row.scales == (stored.table.min(), stored.table.max())
    else:
        limit = 2 ** (stored.bits - 1) - 1
        assert row.saturated == pytest.approx((np.abs(stored.codes.astype(int)) == limit).mean())
        assert row.scales == (stored.scale.min(), stored.scale.max())
