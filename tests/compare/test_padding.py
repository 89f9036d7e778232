"""docs/padding.md is what the specs give.

MCTC_UPDATE_DOCS=1 writes it anew (the slow test).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from docs.pages.padding import Padding, lines, page
from mctc.hardware.cost import Shaped
from mctc.language.modules import Loader


@pytest.mark.slow
def test_the_page_is_current(root: Path) -> None:
    """Every spec at its full size, twice; four minutes."""
    text = page()
    if os.environ.get("MCTC_UPDATE_DOCS"):
        (root / "docs/padding.md").write_text(text, encoding="utf-8")
    assert (root / "docs/padding.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("spec", ["mct_tiny", "silero_vad", "rnnt_lstm"])
def test_a_spec_still_takes_what_the_page_says(root: Path, spec: str) -> None:
    text = (root / "docs/padding.md").read_text(encoding="utf-8")
    for row in lines(root / f"spec/{spec}.mct"):
        assert f"| {' | '.join(row)} |" in text


def test_every_model_of_the_library_is_on_the_page(root: Path) -> None:
    text = (root / "docs/padding.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| [")]
    listed = dict.fromkeys(row.partition("]")[0].removeprefix("| [") for row in rows)
    modules = [Loader().load(path) for path in sorted((root / "spec").glob("*.mct"))]
    assert list(listed) == [each.node.name.text for module in modules if module for each in module.models()]


def test_rows_are_padded_and_all_results_count() -> None:
    cut = Shaped("split", ((1, 4, 1, 8),), (), ((1, 2, 1, 8), (1, 2, 1, 8)))
    found = Padding.of([cut, Shaped("tanh", ((1, 2, 1, 8),), (), ((1, 2, 1, 8),))])
    assert (found.ops, found.raw, found.padded) == (2, 3 * 2 * 16, 3 * 2 * 64)
    assert found.most == "split 1x2x1x8: 0.000, tanh 1x2x1x8: 0.000"
