"""Builds held to what they may cost on a device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mctc.diagnostics.errors import ExitCode
from mctc.driver.budget import QUANTITIES, Predicted, hold, parse_budget
from mctc.driver.options import BuildError, OptionError
from mctc.plugins import registry

Run = Callable[..., "CompletedProcess[str]"]


@pytest.mark.parametrize(
    ("text", "quantity", "limit"),
    [("compile=10s", "compile", 10), ("disk=2GB", "disk", 2e9), ("call=5 ms", "call", 0.005), ("memory=.5GB", "", 0)],
)
def test_budgets_are_read(text: str, quantity: str, limit: float) -> None:
    if not quantity:
        with pytest.raises(OptionError, match="is no budget"):
            parse_budget(text)
        return
    budget = parse_budget(text)
    assert (budget.quantity, budget.limit) == (quantity, pytest.approx(limit))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("compile", "'compile' is no budget", "compile=10s"),
        ("compile=-1s", "'compile=-1s' is no budget", "compile=10s"),
        ("comple=1s", "nothing called 'comple' can be budgeted", "first-call"),
        ("compile=1GB", "'compile=1GB': compile has no unit 'GB'", "ms, s, min"),
    ],
)
def test_what_is_no_budget_is_told(text: str, message: str, hint: str) -> None:
    with pytest.raises(OptionError, match=message) as told:
        parse_budget(text)
    assert hint in str(told.value.hint)


def predicted(**values: float | None) -> dict[str, Predicted]:
    return {name: Predicted(values.get(name.replace("-", "_"), 0.0), "encoder takes it") for name in QUANTITIES}


def test_a_prediction_within_its_budgets_passes() -> None:
    hold([parse_budget("compile=10s"), parse_budget("call=1ms")], predicted(compile=10.0, call=0.001), "M6")


def test_a_prediction_over_its_budget_says_by_how_much_and_where() -> None:
    with pytest.raises(BuildError) as told:
        hold([parse_budget("disk=2GB")], predicted(disk=78e9), "M6 (H18G)")
    assert str(told.value) == (
        "the disk that the first load takes is predicted to take 78 GB, more than 2 GB:\n"
        "  on M6 (H18G); encoder takes it"
    )
    assert max(map(len, told.value.render().splitlines())) < 90


def test_a_compiler_that_fails_keeps_no_budget() -> None:
    with pytest.raises(BuildError, match="the first load fails, so no budget holds"):
        hold([parse_budget("compile=10min")], predicted(compile=None), "M6")


def test_a_build_over_its_budget_writes_nothing(mctc: Run, spec: Path, tmp_path: Path) -> None:
    done = mctc("build", spec, "-o", "x", "--budget", "call=1ms", "--budget", "call=0.001ms")
    assert done.returncode == ExitCode.FAILED
    assert "a call is predicted to take" in done.stderr
    assert "more than 0.001 ms" in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_target_that_predicts_no_cost_takes_no_budget(mctc: Run, spec: Path) -> None:
    assert "compile" in registry().load("targets", "ane").budgets
    done = mctc("build", spec, "--target", "torch", "--budget", "compile=10s")
    assert done.returncode == ExitCode.USAGE
    assert "target torch can't be held to a budget of compile" in done.stderr
