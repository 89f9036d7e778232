"""Links of the guides lead to files and headings that exist, in a repository browser and on the docs site."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from docs.site.markdown import headings, links
from docs.site.navigation import HOME, navigation

GUIDES = [HOME, *(page for section in navigation() for page in section.pages)]


@cache
def anchors(guide: Path) -> set[str]:
    return {each.anchor for each in headings(guide.read_text(encoding="utf-8"))}


def dead(root: Path, guide: str) -> list[str]:
    """Places and targets of links that lead nowhere."""
    found = []
    for line, target in links((root / guide).read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        place = Path(os.path.normpath((root / guide).parent / file)) if file else root / guide
        if not place.exists() or (anchor and anchor not in anchors(place)):
            found.append(f"{guide}:{line}: {target}")
    return found


@pytest.mark.parametrize("guide", GUIDES)
def test_no_link_of_a_guide_is_dead(root: Path, guide: str) -> None:
    assert dead(root, guide) == []


def test_the_navigation_names_every_guide_once(root: Path) -> None:
    there = {
        path.relative_to(root).as_posix() for place in ("docs", "examples") for path in (root / place).rglob("*.md")
    }
    there |= {path.name for path in root.glob("*.md")}
    assert sorted(GUIDES) == sorted(there)


def test_the_check_finds_a_missing_file_and_a_missing_heading_but_looks_into_no_code(tmp_path: Path) -> None:
    text = "# A\n\n[a](b.md) [a](#a) [c](#c) `[d](d.md)`\n\n```\n[e](e.md)\n```\n"
    (tmp_path / "a.md").write_text(text)
    assert dead(tmp_path, "a.md") == ["a.md:3: b.md", "a.md:3: #c"]
