"""mctc.checkpoint_writer: what it writes, safetensors reads; each tensor is asked for once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from mctc.checkpoint_writer import write_all, write_tensors
from mctc.ir.op import Array


def test_safetensors_reads_every_type_layout_and_shape(tmp_path: Path) -> None:
    tensors = {
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "big_endian": np.arange(3, dtype=">i8"),
        "half": np.ones((2, 1, 2), np.float16),
        "code": np.array([-7, 7], np.int8),
        "byte": np.array([255], np.uint8),
        "scalar": np.float32(2).reshape(()),
        "empty": np.empty((0, 4), np.float32),
    }
    write_all(tmp_path / "all.safetensors", tensors, {"told": "ü"})
    found = load_file(tmp_path / "all.safetensors")
    assert found.keys() == tensors.keys()
    for name, each in tensors.items():
        assert found[name].shape == each.shape
        assert np.array_equal(found[name], each)
    with safe_open(tmp_path / "all.safetensors", "numpy") as file:
        assert file.metadata() == {"told": "ü"}


def test_each_tensor_is_asked_for_once_and_in_order_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    asked = []

    def read(name: str) -> Array:
        asked.append(name)
        if name == "c":
            raise OSError("gone")
        return np.zeros(2)

    with pytest.raises(OSError, match="gone"):
        write_tensors(tmp_path / "out", dict.fromkeys("abc", ("float32", (2,))), read, {})
    assert asked == ["a", "b", "c"]
    assert not list(tmp_path.iterdir())
