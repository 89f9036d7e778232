"""`python -m docs.pages [PAGE...]` writes the generated pages of docs/ anew; all of them if none is named."""

from __future__ import annotations

import sys
from pathlib import Path

from docs.pages.table import PAGES

DOCS = Path(__file__).resolve().parent.parent


def main(names: list[str]) -> str | None:
    """Writes the pages; returns what is wrong with the names."""
    if unknown := [name for name in names if name not in PAGES]:
        return f"{unknown[0]} is no generated page; there are {', '.join(PAGES)}"
    for name in names or PAGES:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/{name}")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
