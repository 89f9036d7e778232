"""Every seeded fault is found by the test that the table names, and that test finds nothing where there is no fault."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .fault import Fault
from .faults import FAULTS
from .runner import PASSED, Runner, runner

QUICK = (
    "lstm-gates-swapped",
    "decay-off-by-one",
    "batch-norm-epsilon",
    "stacked-frames-reversed",
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a child process for each fault needs os.fork")


@pytest.fixture(scope="module")
def forks() -> Iterator[Runner]:
    with runner() as started:
        yield started


def _named(faults: tuple[Fault, ...], quick: bool) -> list[Fault]:
    return [fault for fault in faults if (fault.name in QUICK) is quick]


def _checks(faults: list[Fault]) -> list[str]:
    return sorted({fault.caught_by for fault in faults})


def assert_found(forks: Runner, fault: Fault) -> None:
    outcome = forks.outcome([fault.caught_by], fault)
    assert outcome.caught, f"{fault.caught_by} does not find that {fault.what}:\n{outcome.text}"


def assert_nothing_found(forks: Runner, faults: list[Fault]) -> None:
    outcome = forks.outcome(_checks(faults))
    assert outcome.code == PASSED, outcome.text


def test_without_a_fault_the_quick_checks_find_nothing(forks: Runner) -> None:
    assert_nothing_found(forks, _named(FAULTS, quick=True))


@pytest.mark.parametrize("fault", _named(FAULTS, quick=True), ids=lambda fault: fault.name)
def test_a_fault_is_found_quickly(forks: Runner, fault: Fault) -> None:
    assert_found(forks, fault)


@pytest.mark.slow
def test_without_a_fault_the_checks_find_nothing(forks: Runner) -> None:
    assert_nothing_found(forks, _named(FAULTS, quick=False))


@pytest.mark.slow
@pytest.mark.parametrize("fault", _named(FAULTS, quick=False), ids=lambda fault: fault.name)
def test_a_fault_is_found(forks: Runner, fault: Fault) -> None:
    assert_found(forks, fault)
