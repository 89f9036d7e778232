"""The weight file: every element type as coremltools' writer stores it."""

from __future__ import annotations

import re
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


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 40_001, 40_002])
def test_of_two_integers_in_a_byte_the_first_is_in_its_lower_half(
    monkeypatch: pytest.MonkeyPatch, count: int, dtype: type
) -> None:
    monkeypatch.setattr("mctc.package.bits.BLOCK", 1 << 12)
    signed = dtype is not np.uint8
    values = np.random.default_rng(0).integers(-8 * signed, 16 - 8 * signed, count).astype(dtype)
    data = pack(values[::-1], 4)
    low, high = ((np.append(values[::-1], dtype(0))[first::2] & 15).astype(np.uint8) for first in (0, 1))
    assert list(data) == (low[: len(data)] | high[: len(data)] << 4).tolist()
    np.testing.assert_array_equal(unpack(data, 4, count, signed=signed), values[::-1])


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


def set_field(path: Path, offset: int, number: int) -> None:
    """Writes a field of 64 bits into a weight file."""
    content = bytearray(path.read_bytes())
    content[offset : offset + 8] = number.to_bytes(8, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("number", [1, 8, 0x7FFF_1234, (1 << 64) - 1])
@pytest.mark.parametrize("field", [24, 32, 40, 48, 56])
def test_the_reserved_fields_of_whole_bytes_may_hold_anything(
    coremltools: Any, tmp_path: Path, field: int, number: int
) -> None:
    values = np.arange(21, dtype=np.float16)
    offset = write(coremltools, tmp_path / "weight.bin", "fp16", values)
    set_field(tmp_path / "weight.bin", offset + field, number)
    found = BlobFile(tmp_path / "weight.bin").entry(offset, TensorType("fp16", (21,))).load()
    np.testing.assert_array_equal(found, values)


def test_the_unused_bits_of_a_narrow_type_count(coremltools: Any, tmp_path: Path) -> None:
    offset = write(coremltools, tmp_path / "weight.bin", "uint4", np.arange(15, dtype=np.uint8))
    file = BlobFile(tmp_path / "weight.bin")
    assert file.entry(offset, TensorType("uint4", (15,))).load().tolist() == list(range(15))
    with pytest.raises(PackageError, match=r"leaves 4 bits of its last byte unused, uint4\[16\] needs 0 unused"):
        file.entry(offset, TensorType("uint4", (16,)))
    set_field(tmp_path / "weight.bin", offset + 24, 9)
    with pytest.raises(PackageError, match="leaves 9 bits"):
        BlobFile(tmp_path / "weight.bin").entry(offset, TensorType("uint4", (15,)))


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 5), other=st.integers(1, 5), unused=st.integers(0, 9), narrow=st.booleans())
def test_an_error_never_contradicts_itself(
    coremltools: Any, tmp_path_factory: pytest.TempPathFactory, size: int, other: int, unused: int, narrow: bool
) -> None:
    path = tmp_path_factory.mktemp("blobs") / "weight.bin"
    dtype = "uint4" if narrow else "fp16"
    offset = write(coremltools, path, dtype, np.zeros(size, np.uint8 if narrow else np.float16))
    set_field(path, offset + 24, unused)
    try:
        BlobFile(path).entry(offset, TensorType(dtype, (other,)))
    except PackageError as error:
        held, needed = (int(number) for number in re.findall(r"(?:holds|leaves|needs) (\d+)", error.message))
        assert held != needed
    else:
        assert (-(-size // 2) * 8 - unused == other * 4) if narrow else size == other
