"""Modules emitted once for the session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .made import Made


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Made:
    """mct_small at two layers of 64 channels."""
    from .made import make_spec

    return make_spec(root / "spec" / "mct_small.mct", tmp_path_factory.mktemp("small"), depth=2, width=64, vocab=100)


@pytest.fixture(scope="session")
def conformer(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Made:
    from .made import make_spec

    return make_spec(root / "examples" / "conformer" / "conformer.mct", tmp_path_factory.mktemp("conformer"))


@pytest.fixture(params=["native", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What computes the transducer loss: the C++, or torch operations as where no compiler is."""
    from mctc.targets.torch.runtime import rnnt_loss_cpu

    if request.param == "torch":
        monkeypatch.setattr(rnnt_loss_cpu, "available", lambda: False)
    elif not rnnt_loss_cpu.available():
        pytest.skip("no C++ compiler")
    return str(request.param)
