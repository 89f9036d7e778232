"""What a compressed parameter stands for is what coremltools' own decompression makes of the stored form."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Quantization
from mctc.quantize import Palette, Scaled, quantize

WEIGHT = np.random.default_rng(0).normal(0, 0.05, (16, 12, 1, 1)).astype(np.float32)


@pytest.mark.parametrize("how", [Quantization("int8", 8), Quantization("int4", 4)])
def test_scales(how: Quantization) -> None:
    from coremltools.converters.mil.mil.ops.defs.iOS18 import constexpr_blockwise_shift_scale

    stored = quantize(WEIGHT, how)
    assert isinstance(stored, Scaled)
    theirs = constexpr_blockwise_shift_scale.decompress(stored.codes, stored.scale, None)
    assert theirs.dtype == np.float16
    np.testing.assert_array_equal(stored.dequantize(), theirs)


@pytest.mark.parametrize("how", [Quantization("int8", 8, axis=1), Quantization("palette", 4, 4, axis=1)], ids=str)
def test_output_channels_along_another_axis(how: Quantization) -> None:
    """An embedding table has its output channels along axis 1: its transpose, quantised along axis 0, is the same."""
    turned = Quantization(how.scheme, how.bits, how.group)
    along_0 = quantize(np.ascontiguousarray(WEIGHT[:, :, 0, 0].T), turned).dequantize()
    np.testing.assert_array_equal(quantize(WEIGHT[:, :, 0, 0], how).dequantize(), along_0.T)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("group", [None, 8])
def test_palettes(bits: int, group: int | None) -> None:
    from coremltools.converters.mil.mil.ops.defs.iOS18 import constexpr_lut_to_dense

    stored = quantize(WEIGHT, Quantization("palette", bits, group))
    assert isinstance(stored, Palette)
    table = stored.table.reshape(-1, 1, 1, 1, 1 << bits, 1)
    np.testing.assert_array_equal(stored.dequantize(), constexpr_lut_to_dense.decompress(stored.codes, table, None))
