"""The weight file: every element type as coremltools' writer stores it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.package import PackageError, TensorType
from mctc.package.bits import pack, unpack
from mctc.package.blob import BlobFile

TYPES = ["fp16", "fp32", "int8", "uint8", "int16", "uint16", "int32", "uint32"]
NARROW = ["int4", "uint1", "uint2", "uint3", "uint4", "uint6"]


def write(coremltools: Any, path: Path, dtype: str, values: np.ndarray) -> int:
    from coremltools.libmilstoragepython import _BlobStorageWriter

    writer = _BlobStorageWriter(str(path))
    if dtype == "fp16":
        return int(writer.write_fp16_data(values.view(np.uint16)))
    return int(getattr(writer, f"write_{'float' if dtype == 'fp32' else dtype}_data")(values))


@pytest.mark.parametrize("dtype", TYPES + NARROW)
def test_every_element_type_is_read_back(coremltools: Any, tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(1)
    if dtype.startswith("fp"):
        values = rng.standard_normal(21).astype({"fp16": np.float16, "fp32": np.float32}[dtype])
    else:
        bits, signed = int(dtype.lstrip("uint")), dtype.startswith("i")
        low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
        holder = f"{'' if signed else 'u'}int{max(bits, 8)}"
        values = rng.integers(low, high, 21, dtype=np.int64).astype(holder)
    offset = write(coremltools, tmp_path / "weight.bin", dtype, values)
    tensor = BlobFile(tmp_path / "weight.bin").entry(offset, TensorType(dtype, (3, 7)))
    found = tensor.load()
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values.reshape(3, 7))


@settings(deadline=None, max_examples=60)
@given(bits=st.integers(1, 8), values=st.lists(st.integers(0, 255), max_size=40), signed=st.booleans())
def test_packing_and_unpacking_are_inverse(bits: int, values: list[int], signed: bool) -> None:
    low = 1 << (bits - 1) if signed else 0
    wanted = [value % (1 << bits) - low for value in values]
    data = pack(np.array(wanted, np.int64), bits)
    assert len(data) == -(-len(wanted) * bits // 8)
    assert unpack(data, bits, len(wanted), signed=signed).tolist() == wanted


WRONG = [
    (TensorType("fp32", (3, 7)), "holds fp16, the program says fp32"),
    (TensorType("fp16", (3, 8)), "holds 42 bytes"),
    (TensorType("fp16", (1 << 40, 1 << 40)), "holds 42 bytes"),
    (TensorType("fp16", (None, 7)), "no definite shape"),
]


@pytest.mark.parametrize(("type_", "message"), WRONG)
def test_a_record_of_another_type_or_size_is_refused(
    coremltools: Any, tmp_path: Path, type_: TensorType, message: str
) -> None:
    offset = write(coremltools, tmp_path / "weight.bin", "fp16", np.zeros(21, np.float16))
    with pytest.raises(PackageError, match=message):
        BlobFile(tmp_path / "weight.bin").entry(offset, type_)
