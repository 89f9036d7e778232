"""Every fault that is put into the runtime is found by the check that is named for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mctc.targets.swift.package import RUNTIME
from tests.targets.swift.builds import Builds
from tests.targets.swift.checks import CHECKS, Proof
from tests.targets.swift.seeded import FAULTS, put_in
from tests.targets.swift.toolchain import Toolchain
from tests.targets.swift.workspace import prepare_proof


def test_every_fault_has_its_place_and_its_check(tmp_path: Path) -> None:
    shutil.copytree(RUNTIME, tmp_path / "sources")
    put_in(tmp_path / "sources")
    assert {fault.found for fault in FAULTS} <= CHECKS.keys()


@pytest.fixture(scope="module")
def faulty(toolchain: Toolchain, builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    """The trained model's package with all faults in it, switched off."""
    place = toolchain.workspace()
    try:
        made = prepare_proof(toolchain, builds.trained, builds.features, place)
        put_in(made.folder / "Sources" / made.module)
        made.build("proof", warnings=True)
        made.build(made.product, warnings=True)
        yield Proof(made, builds, tmp_path_factory.mktemp("faults"))
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({fault.found for fault in FAULTS}))
def test_without_a_fault_every_check_passes(name: str, faulty: Proof) -> None:
    CHECKS[name](faulty)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda number: FAULTS[number].name)
def test_a_fault_is_found(number: int, faulty: Proof) -> None:
    switched_on = replace(faulty, workspace=replace(faulty.workspace, variables={"SEEDED": str(number)}))
    with pytest.raises(AssertionError):
        CHECKS[FAULTS[number].found](switched_on)
