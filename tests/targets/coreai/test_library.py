"""Where coreai is missing, a build says what to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.driver.engine import RuntimeMissingError
from mctc.targets.coreai.library import require_coreai
from mctc.targets.coreai.target import CoreAiTarget


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "coreai.authoring", None)
    monkeypatch.setitem(sys.modules, "coreai", None)
    with pytest.raises(RuntimeMissingError, match="which is not installed") as caught:
        CoreAiTarget().engine(tmp_path, "fp16")
    assert "pip install 'mctc[coreai]'" in str(caught.value.hint)


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    with pytest.raises(RuntimeMissingError, match=r"needs Python 3\.11"):
        require_coreai()


def test_a_build_for_another_target_does_not_import_it(imported_by: Callable[..., set[str]], root: Path) -> None:
    assert "coreai" not in imported_by("check", root / "spec/mct_tiny.mct")
    assert "coreai" not in imported_by("passes")
