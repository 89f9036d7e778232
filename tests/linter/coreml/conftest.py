"""Checking small programs written in the notation."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.network.check import check_network
from mctc.linter.coreml.network.notation import is_network, read_network_notation
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.report import Report
from mctc.linter.coreml.rule import Rule
from mctc.linter.coreml.table import Table, table

Check = Callable[..., Report]
Messages = Callable[..., list[str]]


@pytest.fixture(scope="session")
def rules() -> Table:
    return table()


@pytest.fixture(scope="session")
def check(rules: Table) -> Check:
    """`check(text, device="m4", system="ios18")`: the report on a program or a neural network written as text."""

    def run(text: str, device: str | None = None, system: str | None = None) -> Report:
        text, known = cleandoc(text), rules.rules.values()
        if is_network(text):
            return check_network(read_network_notation(text), known, device=device, system=system)
        return check_package(read_notation(text), known, device=device, system=system)

    return run


@pytest.fixture(scope="session")
def messages(check: Check) -> Messages:
    """`messages("ANE-CV-001", text, device="m4")`: what that rule says of the program."""

    def run(code: str, text: str, device: str | None = None, system: str | None = None) -> list[str]:
        return [each.message for each in check(text, device, system).findings if each.rule.code == code]

    return run


def target_of(rule: Rule) -> dict[str, str | None]:
    """A device and a system that a rule speaks of."""
    system = {"ios": "ios26", "macos": "macos26"}[min(rule.scope.platforms)] if rule.scope.platforms else None
    return {"device": rule.scope.example(), "system": system}
