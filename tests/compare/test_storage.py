"""Bytes of a parameter by its type, against what the quantiser makes of one."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.compare.storage import stored_bytes
from mctc.ir.program import Parameter, Quantization, Source
from mctc.ir.types import DType, plain
from mctc.quantize import Palette, quantize

WAYS = [
    Quantization("int8", 8),
    Quantization("int4", 4),
    Quantization("int8", 8, axis=1),
    Quantization("palette", 4, group=8),
    Quantization("palette", 6),
]


@pytest.mark.parametrize("shape", [(32, 24), (32, 24, 1, 3), (40,)])
@pytest.mark.parametrize("how", WAYS, ids=str)
def test_a_compressed_parameter_takes_its_codes_and_scales_or_tables(shape: tuple[int, ...], how: Quantization) -> None:
    if len(shape) == 1 and how.axis:
        pytest.skip("a vector has one axis")
    if len(shape) == 1 and how.group:
        how = Quantization(how.scheme, how.bits)
    made = quantize(np.random.default_rng(0).normal(size=shape), how)
    beside = made.table if isinstance(made, Palette) else made.scale
    assert stored_bytes(_parameter(shape, how)) == made.codes.size * made.bits // 8 + 2 * beside.size


def test_a_plain_parameter_takes_two_bytes_a_number() -> None:
    assert stored_bytes(_parameter((3, 5), None)) == 30


def _parameter(shape: tuple[int, ...], how: Quantization | None) -> Parameter:
    type_ = plain(DType.F32, *shape)
    return Parameter("p", type_, Source("p", type_), how)
