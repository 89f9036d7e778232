"""Whether installed packages may declare plugins is told without importlib.metadata, and never wrongly denied."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mctc.entry_points import may_have


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    return tmp_path


def declare(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "entry_points.txt").write_text(text, encoding="utf-8")


def test_packages_without_such_groups_have_none(path: Path) -> None:
    declare(path / "plain-1.dist-info", "[console_scripts]\nmctc = mctc.cli.main:main\n")
    (path / "bare-1.dist-info").mkdir()
    (path / "old.egg-info").write_text("Name: old\n")
    assert not may_have("mctc.")


@pytest.mark.parametrize("folder", ["tricks-1.dist-info", "tricks.egg-info"])
@pytest.mark.parametrize("group", ["[mctc.passes]", "[ mctc.rules ]"])
def test_a_package_that_declares_one_may_have_it(path: Path, folder: str, group: str) -> None:
    declare(path / folder, f"[console_scripts]\na = b:c\n\n{group}\nx = y:Z\n")
    assert may_have("mctc.")


def test_archives_and_finders_of_their_own_are_asked_in_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not may_have("mctc.")
    with zipfile.ZipFile(path / "missing", "w"):
        pass
    assert may_have("mctc.")
    (path / "missing").unlink()

    class Finder:
        @staticmethod
        def find_distributions() -> list[object]:
            return []

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert may_have("mctc.")


def test_no_metadata_is_parsed_where_no_package_has_plugins() -> None:
    code = (
        "import sys; from mctc.plugins import registry; registry().load('passes', 'dead-code')\n"
        "from mctc.entry_points import may_have\n"
        "assert may_have('mctc.') or 'importlib.metadata' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
