"""docs/passes.md says what the passes declare."""

from __future__ import annotations

from pathlib import Path

from mctc.plugins import registry
from mctc.rewrite.catalogue import own, page


def test_the_page_of_passes_is_current(root: Path):
    written = (root / "docs" / "passes.md").read_text(encoding="utf-8")
    assert written == page(own(registry().passes())), "run: python -m mctc.rewrite.catalogue > docs/passes.md"


def test_every_pass_tells_what_it_does_and_promises():
    for cls in own(registry().passes()):
        assert cls.summary().endswith("."), cls.name
        assert cls.__doc__, cls.name
