"""Every construct that the fuzzer counts is drawn, and docs/fuzzing.md has a row of each."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from bench.fuzz.constructs import CONSTRUCTS, constructs
from bench.fuzz.specs import Spec, specs

pytest.importorskip("hypothesis")


def test_the_guide_has_a_row_of_each(root: Path) -> None:
    page = (root / "docs/fuzzing.md").read_text(encoding="utf-8")
    table = page.partition("| construct |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE) == list(CONSTRUCTS)


@pytest.mark.slow
def test_each_is_drawn() -> None:
    found: Counter[str] = Counter()

    @seed(1)
    @settings(
        max_examples=1500,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def look(spec: Spec) -> None:
        found.update(constructs(spec.text))

    look()
    assert set(CONSTRUCTS) - set(found) == set()
