"""The table of docs/benchmarks.md about the house: what the sources tell is counted and held to what it must reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Where `conv2d` is the name of another's operation: in packages, in their rules, in code that is copied into builds.
OTHERS = ("mctc/linter/", "mctc/package/", "mctc/evaluate/coreml/", "/runtime/")
MATCHES = re.compile(r"\bop\.name [!=]=|\bop\.attributes(\[|\.get\()|(?<![.\w])attributes(\[|\.get\()")


def sources(root: Path, *rooms: str) -> Iterator[tuple[str, str]]:
    """Python files by their path from the root, with their text."""
    for room in rooms:
        for path in sorted((root / room).rglob("*.py")):
            yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")


def reach(root: Path, what: str) -> int:
    """The number that a row of the table must reach."""
    lines = (root / "docs/benchmarks.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line.split("|") for line in lines if line.startswith(f"| {what}"))
    return int(re.sub(r"\D", "", row[3]))


def test_few_files_name_a_convolution(root: Path) -> None:
    found = [
        name
        for name, text in sources(root, "mctc", "passes", "targets")
        if re.search(r"\bconv2d\b", text) and not any(each in f"/{name}" or each in name for each in OTHERS)
    ]
    assert 0 < len(found) <= reach(root, "source files that name `conv2d`"), found


def test_few_matches_are_by_string(root: Path) -> None:
    found = [
        f"{name}: {line.strip()}"
        for name, text in sources(root, "passes", "targets")
        for line in text.splitlines()
        if MATCHES.search(line)
    ]
    assert len(found) <= reach(root, "string matches on names and attributes"), found


@pytest.mark.parametrize(("line", "counts"), [
    ('if op.name == "relu":', True), ('axis = op.attributes["axis"]', True), ('attributes.get("axis")', True),
    ("return op.attributes", False), ('message.attributes["val"]', False),
])  # fmt: skip
def test_what_counts_as_a_match(line: str, counts: bool) -> None:
    assert bool(MATCHES.search(line)) is counts
