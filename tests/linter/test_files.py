"""A file of rules is one subject, which a reader takes in at once."""

from __future__ import annotations

from pathlib import Path

MOST = 300


def test_no_file_of_rules_is_longer_than_what_is_read_at_once(root: Path) -> None:
    files = [*(root / "mctc/linter").glob("*/rules/*.py")]
    long = {file.name: count for file in files if (count := len(file.read_text(encoding="utf-8").splitlines())) > MOST}
    assert len(files) > 60
    assert long == {}
