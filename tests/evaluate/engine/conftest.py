"""Programs of a few operations, as those of the evaluator's tests."""

from __future__ import annotations

import pytest

from tests.evaluate.coreml.conftest import Sketch


@pytest.fixture
def sketch() -> Sketch:
    """An empty function."""
    return Sketch()
