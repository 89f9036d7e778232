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


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
@pytest.mark.parametrize("group", [None, 8])
def test_palettes(bits: int, group: int | None) -> None:
    from coremltools.converters.mil.mil.ops.defs.iOS18 import constexpr_lut_to_dense

    stored = quantize(WEIGHT, Quantization("palette", bits, group))
    assert isinstance(stored, Palette)
    table = stored.table.reshape(-1, 1, 1, 1, 1 << bits, 1)
    np.testing.assert_array_equal(stored.dequantize(), constexpr_lut_to_dense.decompress(stored.codes, table, None))
