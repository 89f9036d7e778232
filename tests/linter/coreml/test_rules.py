"""Every rule finds its example, and leaves the other alone."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.rule import Effect, Rule, Severity
from mctc.linter.coreml.table import Table, table
from tests.linter.coreml.conftest import Messages, target_of

ALL = list(table().rules.values())


@pytest.mark.parametrize("rule", ALL, ids=[rule.code for rule in ALL])
def test_a_rule_fires_on_one_example_and_not_on_the_other(rule: Rule, messages: Messages) -> None:
    assert messages(rule.code, rule.fires, **target_of(rule))
    assert not messages(rule.code, rule.silent, **target_of(rule))


@pytest.mark.parametrize("rule", ALL, ids=[rule.code for rule in ALL])
def test_a_rule_says_where_it_comes_from(rule: Rule) -> None:
    assert rule.source
    assert rule.fix.endswith(".")
    assert rule.why.endswith(".")
    assert not rule.summary.endswith(".")
    if set(rule.evidence) <= set("CDEF"):  # nothing measured through Core ML, nothing said by Apple
        assert rule.severity is not Severity.ERROR
        assert rule.effect is not Effect.OFF
    if rule.sides is not None:
        assert rule.sides.stays
        assert rule.sides.leaves


def test_there_are_at_least_110_rules(rules: Table) -> None:
    assert len(rules.rules) >= 110
