"""What mctc itself gives people to train with passes its own check."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.linter.mps.check import check_file, python_files

GENERATED, HAND_WRITTEN = "tests/targets/torch/golden", "targets/torch/runtime"


@pytest.mark.parametrize("folder", [GENERATED, HAND_WRITTEN])
def test_the_training_side_has_no_finding(root: Path, folder: str) -> None:
    files = list(python_files([root / folder]))
    found = [each for file in files for each in check_file(file)]
    assert files
    assert [f"{each.span.location if each.span else each.file} {each.code}" for each in found] == []
