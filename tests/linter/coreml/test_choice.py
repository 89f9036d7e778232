"""What settings show of one package."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.config import Settings
from mctc.linter.coreml.choice import choice_for
from mctc.linter.coreml.rule import Severity
from mctc.linter.coreml.table import Table
from mctc.linter.selection import Layer

CODE = "ANE-DT-001"


def test_subjects_and_codes_choose_for_every_package(rules: Table) -> None:
    settings = Settings((Layer(select=("element-types",), ignore=(CODE,), severity={"ANE-DT-002": "info"}),))
    choice = choice_for(settings, Path("a.mlpackage"), rules)
    assert choice.codes is not None
    assert {rules.family[code] for code in choice.codes} == {"element-types"}
    assert CODE not in choice.codes
    assert choice.severity(rules.rules["ANE-DT-002"]) is Severity.INFO


def test_a_package_can_have_its_own_even_where_the_command_line_selects(rules: Table) -> None:
    file = Settings((Layer(("MPS05",), source="f"),), per_package=(("enc*", ("ANE-DT", "MPS01")),))
    settings = file.merged(Settings((Layer(select=("ANE-DT",)),)))
    assert choice_for(settings, Path("encoder.mlpackage"), rules).codes == frozenset()
    decoder = choice_for(settings, Path("decoder.mlpackage"), rules).codes
    assert decoder is not None
    assert CODE in decoder


def test_a_slip_is_said_even_where_no_package_has_that_name(rules: Table) -> None:
    settings = Settings(per_package=(("none*", ("ANE-DX",)),), file=Path("pyproject.toml"))
    with pytest.raises(UsageError, match=r"pyproject\.toml: per-package 'none\*': ignore: no rule begins"):
        choice_for(settings, Path("a.mlpackage"), rules)
