"""docs/faults.md lists every fault. MCTC_UPDATE_DOCS=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

from mctc.evaluate.faults.catalogue import fault_table


def test_the_page_has_every_fault(root: Path) -> None:
    page = root / "docs/faults.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- faults -->\n")
    _, _, after = rest.partition("<!-- end of faults -->")
    if os.environ.get("MCTC_UPDATE_DOCS"):
        text = f"{before}<!-- faults -->\n{fault_table()}\n<!-- end of faults -->{after}"
        page.write_text(text, encoding="utf-8")
    assert fault_table() in text
