"""docs/cli.md lists every command with its arguments and options, as the commands themselves declare them.

MCTC_UPDATE_DOCS=1 writes the list anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from docs.site.commands import HEADING, reference


def test_the_reference_is_what_the_commands_declare(root: Path) -> None:
    page = root / "docs/cli.md"
    text = page.read_text(encoding="utf-8")
    head, heading, listed = text.partition(HEADING)
    if os.environ.get("MCTC_UPDATE_DOCS"):
        page.write_text(head + heading + reference(), encoding="utf-8")
    else:
        assert listed == reference()
