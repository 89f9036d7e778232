"""The example of a lint rule: it fires on its own example, and the command takes it from a file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.rule import RuleFamily
from mctc.plugins import Registry

pytestmark = pytest.mark.process

Run = Callable[..., subprocess.CompletedProcess[str]]
FILE = "examples/custom_rule/large_tensor.py"


def test_the_rule_fires_on_one_example_and_not_on_the_other(root: Path) -> None:
    (plugin,) = Registry().load_file(root / FILE)
    family = plugin.load()
    assert isinstance(family, RuleFamily)
    for rule in family.rules:
        found = [check_package(read_notation(text), [rule]).findings for text in (rule.fires, rule.silent)]
        assert [len(each) for each in found] == [1, 0]


def test_the_command_knows_its_code(mctc: Run, root: Path) -> None:
    done = mctc("lint", "none.mlpackage", "--plugin", root / FILE, "--select", "ACME")
    assert "there is no such" in done.stderr
    assert "no rule begins with" not in done.stderr
