"""On a Mac: Core ML would run ops where mctc predicts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mac.conftest import Make
from tests.mac.placed import placement

pytestmark = pytest.mark.usefixtures("neural_engine")
FIRM = 0.9
"""The least part of the firm predictions that holds. docs/lint-placement.md measured 0.998 on an M4."""


@pytest.mark.parametrize("layout", ["single", "separate"])
def test_firm_predictions_hold(built: Make, layout: str, tmp_path: Path) -> None:
    for package in sorted(built("packed", layout).folder.glob("*.mlpackage")):
        found = placement(package, tmp_path)
        assert found.rows
        assert found.unknown == ()
        assert found.share is None or found.share >= FIRM, [row.op for row in found.misplaced]
