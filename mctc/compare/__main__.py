"""`python -m mctc.compare docs/architectures.md` writes the page, and its picture beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from mctc.compare.page import PICTURE, models, page
from mctc.compare.plot import svg


def write(path: Path) -> None:
    """Writes the page to `path`."""
    found = list(models())
    path.write_text(page(found), encoding="utf-8")
    (path.parent / PICTURE).write_text(svg(found), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
