"""The promise of the step derivation on random programs."""

from __future__ import annotations

from bench.pytest_row import row_of_tests
from bench.row import Row
from bench.setting import Setting

EXAMPLES = 500


def rows(setting: Setting) -> list[Row]:
    """tests/streaming, looking at 500 programs over time (and a quarter as many over labels)."""
    what = f"random chunk lengths, random programs (hypothesis, {EXAMPLES} examples): step equals whole"
    return [row_of_tests(setting, what, "all", ["tests/streaming"], {"MCTC_EXAMPLES": str(EXAMPLES)})]
