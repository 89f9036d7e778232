"""docs/lint-rules.md is what the rules say, and so is `mctc explain`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path

import pytest

from docs.pages.lint_rules import page
from mctc.cli.explain import _explanation
from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.explain import explain, folded
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.rule import EVIDENCE, Rule
from mctc.linter.coreml.table import Table, table

ALL = list(table().rules.values())


def test_the_page_of_the_rules_is_current(root: Path) -> None:
    file = root / "docs/lint-rules.md"
    if os.environ.get("MCTC_UPDATE_DOCS"):
        file.write_text(page(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == page()


def test_the_page_has_a_section_for_every_rule_that_it_links_to() -> None:
    text = page()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^### (.*)$", text, re.M)
    }
    links = re.findall(r"\]\(#([a-z0-9-]+)\)", text)
    assert set(links) == headings
    assert len(links) == len(headings)


def test_the_page_says_why_known_rows_have_no_rule(rules: Table) -> None:
    listed = page().rpartition("## What no file can decide")[2]
    undecided = [code for family in rules.families for code, _ in family.not_decidable]
    assert re.findall(r"^\| (ANE-\S+) \|", listed, re.M) == sorted(undecided)
    assert not set(undecided) & set(rules.rules)


@pytest.mark.parametrize("rule", ALL, ids=[rule.code for rule in ALL])
def test_an_explanation_has_all_that_the_rule_says(rule: Rule) -> None:
    text = explain(rule)
    unbroken = " ".join(text.split())
    said = [rule.code, rule.name, rule.summary, rule.severity.value, rule.why, rule.fix, rule.source]
    said += [EVIDENCE[letter] for letter in rule.evidence]
    said += [rule.sides.stays, rule.sides.leaves] if rule.sides is not None else []
    assert [each for each in said if " ".join(each.split()) not in unbroken] == []
    assert max(map(len, text.splitlines())) <= 80


def test_a_long_line_of_an_example_is_broken_where_it_stays_the_same_program(rules: Table) -> None:
    long = max((rule for rule in ALL), key=lambda rule: max(map(len, rule.fires.splitlines())))
    lines = "\n".join(folded(line, 76) for line in long.fires.splitlines())
    assert max(map(len, lines.splitlines())) <= 76 < max(map(len, long.fires.splitlines()))

    def found(text: str) -> list[str]:
        return [each.fingerprint for each in check_package(read_notation(cleandoc(text)), ALL, device="m4").findings]

    assert found(lines) == found(long.fires)


@pytest.mark.parametrize("code", ["ane-op-001", "ANE-OP-001", " ANE-OP-001"])
def test_the_command_explains_rules_for_packages(code: str) -> None:
    assert _explanation(code).startswith("ANE-OP-001: ")


def test_a_code_that_ends_on_a_letter_is_found_in_either_case(rules: Table) -> None:
    (code, *_) = [code for code in rules.rules if code[-1].islower()]
    assert _explanation(code.upper()) == _explanation(code)


@pytest.mark.parametrize(("wrong", "near"), [("ANE-OP-1", "ANE-OP-0"), ("MCT051", "MCT0051"), ("xyzzy", "ANE-OP-001")])
def test_a_code_that_does_not_exist_is_refused_with_a_hint(wrong: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        _explanation(wrong)
    assert near in str(caught.value.hint)


@pytest.mark.parametrize("code", ["MCT0001", "MPS050"])
def test_other_codes_are_explained_without_the_rules_for_packages(
    code: str, imported_by: Callable[..., set[str]]
) -> None:
    modules = imported_by("explain", code)
    assert "numpy" not in modules
    assert not any(name.startswith("mctc.linter.coreml.rules") for name in modules)


def test_the_listing_has_every_code(mctc: Callable[..., object], rules: Table) -> None:
    listed = re.findall(r"^(\S+) ", mctc("explain").stdout, re.M)  # type: ignore[attr-defined]
    assert {"MCT0051", "MPS050", *rules.rules} <= set(listed)
    assert len(listed) == len(set(listed))
