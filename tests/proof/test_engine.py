"""What verify says of a build in the Neural Engine's arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mctc.cli.verify import report, verify
from mctc.diagnostics.errors import UsageError
from mctc.driver.options import BuildError
from mctc.evaluate.engine.arithmetic import arithmetic
from mctc.package import NamedType, Operation, Package, Reference, TensorType
from mctc.proof.check import Check
from mctc.proof.engine import Engined
from mctc.proof.op_loss import Compared
from mctc.proof.proof import Proof
from mctc.runtime.step import Packages


@pytest.fixture
def on_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of every function, as if the programs were large."""

    def all_of(package: Package, device: str) -> dict[str, frozenset[int]]:
        return {name: frozenset(op.index for op in function.operations) for name, function in package.functions.items()}

    monkeypatch.setattr("mctc.linter.coreml.engine_ops.engine_ops", all_of)


def checks_of(folder: Path, name: str, asked: str, limit: float | None = None) -> list[Check]:
    proof = Proof(folder, None, [])
    engined = Engined(Packages(proof.built, load=proof._weights), proof.subject, limit)
    return list(engined.checks(name, arithmetic(asked)))


def decibels(check: Check) -> float:
    return float(check.measured.split()[0])


@pytest.mark.slow
@pytest.mark.usefixtures("on_engine")
def test_an_encoder_is_measured_at_both_ends_of_what_is_not_known(small: Path) -> None:
    middle, low, high = checks_of(small, "encoder", "engine")
    names = [check.name for check in (middle, low, high)]
    assert names == [f"package evaluator, engine:h18{end}" for end in ("", ":low", ":high")]
    assert 15 < min(decibels(low), decibels(high)) < decibels(middle) < 60
    told = "\n".join(middle.facts)
    for part in ("operations on the engine", "lose more than 6 dB: conv encoder_", "largest sum", "products dropped",
                 "published in part: 4 silu", "isn't published: 3 layer_norm"):  # fmt: skip
        assert part in told
    assert (middle.ok, middle.limit, low.facts) == (True, "reported", ())


@pytest.mark.slow
@pytest.mark.usefixtures("on_engine")
def test_verify_takes_a_limit_for_the_engine(small: Path) -> None:
    arguments = [str(small), "--no-runtimes", "--input", "silence", "--json", "--engine-limit", "70"]
    done = CliRunner().invoke(verify, arguments, standalone_mode=False)
    assert done.return_value == 1
    failed = {check["component"]: check["name"] for check in json.loads(done.stdout) if check["ok"] is False}
    assert failed["encoder"].startswith("package evaluator, engine:h18")


@pytest.mark.usefixtures("on_engine")
def test_tables_cost_a_predictor_more_than_sums_and_rounding(small: Path) -> None:
    (tables,), (sums,) = (checks_of(small, "predictor", asked) for asked in ("engine", "engine:h16"))
    assert 30 < decibels(tables) < decibels(sums) - 6
    told = "\n".join(tables.facts)
    for part in ("operations on the engine", "lose more than 6 dB: sigmoid", "largest sum"):
        assert part in told
    assert (tables.ok, tables.limit) == (True, "reported")


@pytest.mark.usefixtures("on_engine")
@pytest.mark.parametrize(("limit", "holds"), [(30.0, True), (200.0, False)])
def test_a_limit_that_is_asked_for_is_held_to(limit: float, holds: bool, small: Path) -> None:
    (check,) = checks_of(small, "joiner", "engine:h16", limit)
    assert (check.ok, check.limit) == (holds, f"{limit:g} dB")


def test_what_is_placed_on_the_cpu_has_no_engine_rung_to_fail(small: Path) -> None:
    """Small programs save less than it costs to go there."""
    (check,) = checks_of(small, "joiner", "engine", limit=200.0)
    assert (check.measured, check.ok, check.facts) == ("all on the CPU", True, ())


def test_facts_stand_below_the_tables() -> None:
    check = Check("package evaluator, engine:h18", "encoder", "40.0 dB", "reported", True, 0.01, 1.0, facts=("a fact",))
    assert "\na fact\n1 checks hold" in report([check])


def test_a_target_that_the_evaluator_does_not_execute_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.targets.ane.target.AneTarget.as_engine", False)
    with pytest.raises(BuildError, match="isn't executed as the Neural Engine does"):
        Proof(small, None, [], engines=["engine"])


def test_arithmetics_that_every_build_is_run_in_are_no_engine_s(small: Path) -> None:
    with pytest.raises(UsageError, match="checks of every build"):
        Proof(small, None, [], engines=["fp16"])


def operation(index: int, type_: str, *taken: str) -> Operation:
    outputs = (NamedType(f"v{index}", TensorType("fp16", (4,))),)
    bindings = {f"x{place}": (Reference(name),) for place, name in enumerate(taken)}
    return Operation(index, type_, f"{type_}_{index}", bindings, outputs, {})


def test_the_op_that_loses_is_told_from_those_that_pass_its_loss_on() -> None:
    compared = Compared()
    exact = np.array([1.0, -2.0, 3.0, 4.0])
    for index, (type_, off) in enumerate((("conv", 1e-4), ("silu", 1e-2), ("reshape", 1e-2), ("sub", 1e-1))):
        op = operation(index, type_, *([f"v{index - 1}"] if index else ["input"]))
        compared.exact(op, [exact])
        compared.other(op, [exact + off])
    assert [str(loss).split(":")[0] for loss in compared.losses()] == ["silu silu_1", "sub sub_3"]
    assert compared.losses()[0].after == pytest.approx(20 * np.log10(np.sqrt(7.5) / 1e-2))


def test_numbers_that_were_lost_count_as_noise_without_end() -> None:
    compared, op = Compared(), operation(0, "conv", "input")
    compared.exact(op, [np.ones(4)])
    compared.other(op, [np.array([1.0, np.inf, 1.0, 1.0])])
    assert compared.losses()[0].after == float("-inf")
