"""Counts in README.md and the guides are those of the code, or of the page that measured them.

MCTC_UPDATE_DOCS=1 writes them anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.pages.lint_rules import built_in
from tests.mutation.faults import FAULTS


@dataclass(frozen=True)
class Count:
    """`text` holds {} where a page states the number that `of` gives for the root of the repository."""

    page: str
    text: str
    of: Callable[[Path], int]


def rules(root: Path) -> int:
    return sum(len(family.rules) for family in built_in())


def contested(root: Path) -> int:
    return sum(rule.contested for family in built_in() for rule in family.rules)


def faults(root: Path) -> int:
    return len(FAULTS)


def measured(page: str, text: str) -> Callable[[Path], int]:
    """The number that another page states."""

    def read(root: Path) -> int:
        return stated(root / page, text)

    return read


def stated(page: Path, text: str) -> int:
    """The number in the place of {} in a page, wherever its lines are broken."""
    found = pattern(text).findall(page.read_text(encoding="utf-8"))
    assert len(found) == 1, f"{page.name} says {text!r} {len(found)} times"
    return int(found[0][1])


def pattern(text: str) -> re.Pattern[str]:
    """Matches a text in three groups: what is before a number in the place of {}, the number, and what is behind it."""
    before, after = (r"\s+".join(map(re.escape, part.split(" "))) for part in text.split("{}"))
    return re.compile(rf"({before})(\d+)({after})")


ALL_OPS = "docs/evaluator-coverage.md"
COUNTS = (
    Count("README.md", "{} rules, each with its source", rules),
    Count("README.md", "and {} faults that were put into the compiler", faults),
    Count("README.md", "own op tests for {} of the", measured(ALL_OPS, "| all four | 167 | {} |")),
    Count("README.md", "of the {} ops of iOS 15 to 18", measured(ALL_OPS, "| all four | {} | 165 |")),
    Count("README.md", "Tried on {} models", measured("docs/public-packages.md", "| ≥ 100 / ≥ 25 | {} / 74 |")),
    Count("CHANGELOG.md", "by {} sourced rules", rules),
    Count("CHANGELOG.md", "{} seeded faults, each", faults),
    Count("docs/mutation.md", "on purpose: {} faults", faults),
    Count("docs/benchmarks.md", "a silent example | ≥ 110 | {} (", rules),
    Count("docs/benchmarks.md", "({} contested)", contested),
)


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: f"{count.page}: {count.text}")
def test_a_page_states_the_count_that_there_is(root: Path, count: Count) -> None:
    page = root / count.page
    if os.environ.get("MCTC_UPDATE_DOCS"):
        told = rf"\g<1>{count.of(root)}\g<3>"
        page.write_text(pattern(count.text).sub(told, page.read_text(encoding="utf-8")), encoding="utf-8")
    assert stated(page, count.text) == count.of(root)
