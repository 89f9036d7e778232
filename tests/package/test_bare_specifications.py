"""A .mlmodel file: the specification alone, weights beside it or in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mctc.package import PackageError, read_package

FOLDER = Path("Data/com.apple.CoreML")


def bare(made: Path, folder: Path) -> Path:
    """The made package's specification with its weights beside it, out of their package."""
    shutil.copytree(made / FOLDER, folder)
    return folder / "model.mlmodel"


def test_it_reads_as_the_package_does(made: Path, weight: np.ndarray, tmp_path: Path) -> None:
    package, alone = read_package(made), read_package(bare(made, tmp_path / "out"))
    assert (package.container, alone.container) == ("mlpackage", "mlmodel")
    assert alone.descriptions == package.descriptions
    assert alone.opset == package.opset == "CoreML8"
    stored = [op.attributes["val"] for op in alone.functions["main"].operations if op.attributes.get("val") is not None]
    np.testing.assert_array_equal(next(item for item in stored if item.stored_bytes).value(), weight)


def test_weights_elsewhere_than_beside_it_are_refused(made: Path, tmp_path: Path) -> None:
    path = bare(made, tmp_path / "out")
    shutil.move(path.parent / "weights", tmp_path / "weights")
    (path.parent / "weights").symlink_to(tmp_path / "weights")
    with pytest.raises(PackageError, match="leads outside the package"):
        read_package(path)
    (path.parent / "weights").rename(path.parent / "other")
    path.write_bytes(path.read_bytes().replace(b"weights/weight.bin", b"weighty/weight.bin"))
    with pytest.raises(PackageError, match="isn't in the folder 'weights' beside the model"):
        read_package(path)


def test_a_pipe_in_its_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.mlmodel")
    with pytest.raises(PackageError, match="not a regular file"):
        read_package(tmp_path / "x.mlmodel")
