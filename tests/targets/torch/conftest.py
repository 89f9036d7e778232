"""Modules emitted once for the session."""

from __future__ import annotations

from pathlib import Path

import pytest

from .made import Made, make_spec


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Made:
    """mct_small at two layers of 64 channels."""
    return make_spec(root / "spec" / "mct_small.mct", tmp_path_factory.mktemp("small"), depth=2, width=64, vocab=100)


@pytest.fixture(scope="session")
def conformer(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Made:
    return make_spec(root / "examples" / "conformer" / "conformer.mct", tmp_path_factory.mktemp("conformer"))
