"""What the fuzzer found once stays mended: every spec in regressions/ goes through the whole pipeline again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz.regression import replay

FILES = sorted((Path(__file__).parent / "regressions").glob("*.mct"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_regression_passes(path: Path) -> None:
    outcome = replay(path)
    assert outcome is None or outcome.errors
