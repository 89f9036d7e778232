"""docs/lint-mps.md is what the rules say, and so is `mctc explain`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from docs.pages.lint_mps import page
from mctc.diagnostics.errors import UsageError
from mctc.linter.mps.explain import explain
from mctc.linter.mps.table import RULES


def test_the_page_of_the_rules_is_current(root: Path) -> None:
    file = root / "docs/lint-mps.md"
    if os.environ.get("MCTC_UPDATE_DOCS"):
        file.write_text(page(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == page()


def test_the_page_has_a_section_for_every_rule_that_it_links_to() -> None:
    text = page()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^### (.*)$", text, re.M)
    }
    links = set(re.findall(r"\]\(#([a-z0-9-]+)\)", text))
    assert links == headings
    assert len(links) == len(RULES)


@pytest.mark.parametrize("code", RULES)
def test_an_explanation_has_all_that_the_rule_says(code: str) -> None:
    rule, text = RULES[code], explain(RULES[code])
    assert text.startswith(f"{code}: {rule.summary}")
    unbroken = " ".join(text.split())
    assert all(part in unbroken for part in (rule.name, rule.why, rule.fix, rule.source, rule.severity.value))
    assert all(line in text for line in (rule.bad + rule.good).splitlines())
    assert max(map(len, text.splitlines())) <= 80


def test_the_command_explains_rules_and_diagnostics_and_refuses_the_rest() -> None:
    from mctc.cli.explain import _explanation

    assert _explanation("mps050").startswith("MPS050: ")
    assert _explanation("MCT0051").startswith("MCT0051: ")
    with pytest.raises(UsageError) as caught:
        _explanation("MSP050")
    assert "MPS050" in str(caught.value.hint)
