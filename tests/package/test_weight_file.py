"""The weight file is, byte for byte, what coremltools' own writer makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.package.blob import BlobFile
from mctc.package.types import TensorType
from mctc.package.weight_file import WeightFile


def test_it_is_what_coremltools_writes(tmp_path: Path) -> None:
    storage = pytest.importorskip("coremltools.libmilstoragepython")
    rng = np.random.default_rng(0)
    half, bytes_ = rng.normal(size=(3, 7)).astype(np.float16), rng.integers(-127, 128, 65).astype(np.int8)
    nibbles = rng.integers(-7, 8, 31).astype(np.int8)
    theirs = storage._BlobStorageWriter(str(tmp_path / "theirs.bin"), True)
    offsets = [theirs.write_fp16_data(half.reshape(-1).view(np.uint16)), theirs.write_int8_data(bytes_)]
    offsets.append(theirs.write_int4_data(nibbles))
    del theirs
    with WeightFile(tmp_path / "ours.bin") as ours:
        assert [ours.add("fp16", half), ours.add("int8", bytes_), ours.add("int4", nibbles)] == offsets
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes()


@pytest.mark.parametrize(("dtype", "high"), [("uint2", 4), ("uint4", 16), ("uint6", 64), ("uint8", 256)])
def test_palette_codes_come_back(tmp_path: Path, dtype: str, high: int) -> None:
    codes = np.random.default_rng(1).integers(0, high, (5, 9)).astype(np.uint8)
    with WeightFile(tmp_path / "w.bin") as file:
        file.add("fp16", np.ones(3, np.float16))
        offset = file.add(dtype, codes)
    read = BlobFile(tmp_path / "w.bin").entry(offset, TensorType(dtype, codes.shape)).load()
    np.testing.assert_array_equal(read, codes)
