"""A safetensors file is read or refused with a reason, whatever its header says."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.importing import Checkpoint


def file(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([], "no table"),
        (7, "no table"),
        (b"", "Expecting value"),
        (b"{", "Expecting"),
        (b"\xff\xfe{}", "Expecting value"),
        (b"[" * 200_000, "recursion"),
        (b'{"a":' * 200_000, "recursion"),
        (b'{"w": ' + b"9" * 5000 + b"}", "digit"),
        ({"w": None}, "w has no type"),
        ({"w": []}, "w has no type"),
        ({"w": {}}, "w has no type"),
        ({"w": entry(dtype=["F32"])}, "w has no type"),
        ({"w": entry(dtype={})}, "w has no type"),
        ({"w": entry(shape=2)}, "w has no shape"),
        ({"w": entry(shape="ab")}, "w has no shape"),
        ({"w": entry(shape=[2.0])}, "w has no shape"),
        ({"w": entry(shape=[True, True])}, "w has no shape"),
        ({"w": entry(shape=[-1, -2])}, "w has no shape"),
        ({"w": entry(shape=[[2]])}, "w has no shape"),
        ({"w": entry(shape=[1] * 65)}, "w has no shape"),
        ({"w": entry(shape=[10**400] * 60)}, "w has no shape"),
        ({"w": entry(data_offsets=None)}, "w lies outside"),
        ({"w": entry(data_offsets=[0])}, "w lies outside"),
        ({"w": entry(data_offsets=[0, 8, 8])}, "w lies outside"),
        ({"w": entry(data_offsets=[0.0, 8.0])}, "w lies outside"),
        ({"w": entry(data_offsets=["0", "8"])}, "w lies outside"),
        ({"w": entry(data_offsets=[8, 0])}, "w lies outside"),
        ({"w": entry(data_offsets=[-8, 0])}, "w lies outside"),
        ({"w": entry(data_offsets=[8, 16])}, "w lies outside"),
        ({"w": entry(shape=[3])}, "w has the wrong length"),
    ],
)
def test_a_damaged_header_is_refused_with_the_reason(tmp_path: Path, header: Any, reason: str) -> None:
    with pytest.raises(WeightsError, match=rf"not a safetensors file: .*{reason}"):
        SafeTensors(file(tmp_path / "w.safetensors", header, bytes(8)))


@pytest.mark.parametrize("length", [9, 1 << 20, (1 << 63) - 1, (1 << 64) - 1])
def test_a_header_that_is_longer_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(WeightsError, match="longer than the file"):
        SafeTensors(file(tmp_path / "w.safetensors", {}, length=length))


@pytest.mark.parametrize("size", range(8))
def test_a_file_that_ends_before_its_header_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "w.safetensors").write_bytes(bytes(size))
    with pytest.raises(WeightsError):
        SafeTensors(tmp_path / "w.safetensors")


def test_a_tensor_of_a_type_that_is_not_read_hides_no_other(tmp_path: Path) -> None:
    tensors = {"odd": entry(dtype="F8_E4M3", data_offsets=[8, 10]), "w": entry(), "__metadata__": {"format": "pt"}}
    weights = SafeTensors(file(tmp_path / "w.safetensors", tensors, struct.pack("<ff", 1.5, -2.0) + bytes(2)))
    assert weights.read("w").tolist() == [1.5, -2.0]
    with pytest.raises(WeightsError, match="odd has the type 'F8_E4M3'"):
        weights.read("odd")


@pytest.mark.parametrize("dtype", ["F64", "F16", "I16", "U16", "U32", "U64", "BOOL", "BF16"])
def test_every_type_is_read_as_float32(tmp_path: Path, dtype: str) -> None:
    data = np.array([1, 0]).astype(SafeTensors.TYPES.get(dtype, "<f4"))
    raw = data.tobytes() if dtype != "BF16" else (data.view("<u4") >> 16).astype("<u2").tobytes()
    weights = SafeTensors(file(tmp_path / "w", {"w": entry(dtype=dtype, data_offsets=[0, len(raw)])}, raw))
    assert weights.read("w").dtype == np.float32
    assert weights.read("w").tolist() == [1, 0]


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    for path in (tmp_path / "pipe.safetensors", tmp_path):
        with pytest.raises(WeightsError, match="no regular file"):
            SafeTensors(path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[]", "{}", '{"weight_map": []}', '{"weight_map": {"w": 1}}', "\udcff"]
)
def test_a_damaged_index_is_refused(tmp_path: Path, text: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(WeightsError, match="no index of a checkpoint"):
        Checkpoint(index)
