"""docs/passes.md says what the passes declare."""

from __future__ import annotations

from pathlib import Path

from docs.pages.passes import own, page


def test_the_page_of_passes_is_current(root: Path):
    written = (root / "docs" / "passes.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m docs.pages passes.md"


def test_every_pass_tells_what_it_does_and_promises():
    for cls in own():
        assert cls.summary().endswith("."), cls.name
        assert cls.__doc__, cls.name
