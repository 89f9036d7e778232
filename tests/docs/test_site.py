"""The docs site has a page for everything that has a name, and no link of it is dead."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.pages.lint_rules import built_in
from docs.pages.ops import own as own_ops
from docs.pages.passes import own as own_passes
from docs.site.catalogues import CATALOGUES, Catalogue, cut, plain_ops
from docs.site.links import dead_links
from docs.site.stage import stage
from mctc.cli.commands import COMMANDS
from mctc.diagnostics.catalogue.table import CATALOGUE
from mctc.linter.mps.table import RULES


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Sphinx is given."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    stage(folder)
    return folder


def names(staged: Path, folder: str) -> set[str]:
    return {page.stem for page in (staged / folder).glob("*.md")}


def test_every_command_op_pass_rule_and_diagnostic_has_a_page(staged: Path) -> None:
    assert names(staged, "commands") == set(COMMANDS)
    assert names(staged, "ops") == {definition.name for definition in own_ops()}
    assert names(staged, "passes") == {each.name for each in own_passes()}
    assert names(staged, "rules") == {rule.code for family in built_in() for rule in family.rules} | set(RULES)
    assert names(staged, "diagnostics") == set(CATALOGUE)


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda each: each.guide)
def test_an_entry_moves_to_its_page_whole(catalogue: Catalogue) -> None:
    whole = catalogue.text()
    index, entries = cut(catalogue)
    moved = " ".join("\n".join(entry.text for entry in entries).split())
    lines = ((line, " ".join(line.lstrip("#").strip("` ").split())) for line in whole.splitlines())
    lost = [line for line, words in lines if line not in index and words not in moved]
    assert lost == []
    assert all(f"(site:{entry.path}.md)" in index for entry in entries)


def test_a_plain_op_has_an_example(staged: Path) -> None:
    text = (staged / "ops/sigmoid.md").read_text(encoding="utf-8")
    assert "%0 = sigmoid(%x)" in text
    assert [entry.path for entry in plain_ops({f"ops/{each.name}" for each in own_ops()})] == []


def test_a_link_to_a_file_of_the_repository_leads_to_a_page_with_its_text(root: Path, staged: Path) -> None:
    assert "](source/mctc/streaming/derivation.py.md)" in (staged / "mutation.md").read_text(encoding="utf-8")
    for page in (staged / "source").rglob("*.py.md"):
        file = root / page.relative_to(staged / "source").as_posix().removesuffix(".md")
        assert file.read_text(encoding="utf-8").rstrip() in page.read_text(encoding="utf-8")


def test_dead_links_and_other_hosts_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="x"></h1><a href="#x"></a><a href="#y"></a><a href="b.html"></a>')
    (tmp_path / "c.html").write_text(
        '<a href="a.html#x"></a><a href="a.html#z"></a><a href="https://example.org"></a>'
        '<script src="https://example.org/a.js"></script><img src="data:,"><link href="//example.org/f.css">'
    )
    assert dead_links(tmp_path) == [
        "a.html: #y: there is no such anchor",
        "a.html: b.html leads nowhere",
        "c.html: //example.org/f.css is loaded from another host",
        "c.html: a.html#z: there is no such anchor",
        "c.html: https://example.org/a.js is loaded from another host",
    ]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sphinx") is None, reason="needs the docs extra")
def test_the_site_builds_without_a_warning_or_a_dead_link(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "docs.site", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 dead links" in done.stdout
    assert (tmp_path / "site/searchindex.js").is_file()  # a script, so that search works from a file
