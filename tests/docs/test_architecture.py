"""docs/architecture.md lists the rooms that exist and what each imports. MCTC_UPDATE_DOCS=1 writes the imports anew."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

from tests.test_imports import imports, modules

PAGE = "docs/architecture.md"
ROW = re.compile(r"^\| `([\w/.]+)` \| (.*) \| ?(.*?) ?\|$", re.MULTILINE)
EVERYBODY = "diagnostics"


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[str, tuple[str, str]]:
    """What each part does and imports, by its path; MCTC_UPDATE_DOCS=1 writes the latter anew."""
    page = root / PAGE
    text = page.read_text(encoding="utf-8")
    if os.environ.get("MCTC_UPDATE_DOCS"):
        text = ROW.sub(lambda row: f"| `{row[1]}` | {row[2]} | {imported(root, row[1])} |", text)
        page.write_text(text, encoding="utf-8")
    return {row[1].rstrip("/"): (row[2], row[3]) for row in ROW.finditer(text)}


def rooms(root: Path) -> set[str]:
    """Names of the folders that the package mctc is made of."""
    inside = {path.parent.name for path in (root / "mctc").glob("*/__init__.py")}
    return inside | {"passes", "targets"}


@cache
def imported(root: Path, part: str) -> str:
    """The rooms that a part imports, as the page says it."""
    place = root / part
    files = [(place, "mctc")] if place.is_file() else list(modules(root, part.rstrip("/")))
    own_names = (name for file, package in files for _, name in imports(file, package) if name.startswith("mctc."))
    names = {name.split(".")[1] for name in own_names}
    own = part.rstrip("/").split("/")[1 if part.startswith("mctc/") else 0]
    found = sorted((names & rooms(root)) - {own, EVERYBODY})
    return ", ".join(f"`{name}`" for name in found) or "nothing of the others"


def test_every_room_is_listed_and_every_part_exists(root: Path, rows: dict[str, tuple[str, str]]) -> None:
    assert [part for part in rows if not (root / part).exists()] == []
    listed = {part.removeprefix("mctc/").split("/")[0] for part in rows}
    assert rooms(root) - listed == set()


def test_every_part_imports_what_is_said(root: Path, rows: dict[str, tuple[str, str]]) -> None:
    said = {part: imports for part, (_, imports) in rows.items()}
    assert said == {part: imported(root, part) for part in rows}, "MCTC_UPDATE_DOCS=1 writes the column anew"


def test_the_files_that_the_page_names_exist(root: Path) -> None:
    text = (root / PAGE).read_text(encoding="utf-8")
    named = re.findall(r"`((?:mctc|passes|targets|tests|bench)/[\w/]+\.\w+)`", text)
    assert named
    assert [name for name in named if not (root / name).exists()] == []


def test_the_top_level_folders_of_the_readme_exist(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2]
    named = [
        name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`([\w/]+)/`", row)
    ]
    assert {"spec", "mctc", "passes", "targets", "examples", "tests", "docs"} <= set(named)
    assert [name for name in named if not (root / name).is_dir()] == []
