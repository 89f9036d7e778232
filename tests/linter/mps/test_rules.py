"""Every rule finds its bad example and nothing else in it, and nothing in its good one."""

from __future__ import annotations

import ast

import pytest

from mctc.diagnostics.render import render
from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.check import check_source
from mctc.linter.mps.rule import CodeRule
from mctc.linter.mps.table import RULES, SUBJECTS

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def codes(text: str) -> list[str]:
    return [found.code for found in check_source(SourceFile("train.py", text))]


@every_rule
def test_the_bad_example_has_this_finding_alone(rule: CodeRule) -> None:
    assert codes(rule.bad) == [rule.code]


@every_rule
def test_the_good_example_has_none(rule: CodeRule) -> None:
    ast.parse(rule.good)
    assert codes(rule.good) == []


@every_rule
def test_a_finding_fits_into_80_columns(rule: CodeRule) -> None:
    for found in check_source(SourceFile("train.py", rule.bad)):
        assert max(map(len, render(found).splitlines())) <= 80, render(found)


@every_rule
def test_a_rule_says_why_who_says_so_and_what_to_do(rule: CodeRule) -> None:
    assert rule.why.endswith(".")
    assert rule.source.endswith(".")
    assert rule.fix.endswith(".")
    assert rule.hint
    assert rule.name == rule.name.lower()


def test_codes_and_names_are_given_once() -> None:
    rules = [rule for subject in SUBJECTS.values() for rule in subject.RULES]
    assert len({rule.code for rule in rules}) == len({rule.name for rule in rules}) == len(rules) == len(RULES)
