"""Every fault that is put into the runtime is found by the check that is named for it."""

from __future__ import annotations

import pytest

from mctc.targets.swift.package import RUNTIME
from tests.targets.swift.checks import CHECKS, Proof
from tests.targets.swift.seeded import FAULTS, Fault, put_in

IN_TOOL = {"recording", "beam", "several", "ahead", "pause"}  # checks that run the emitted tool; others run `proof`


def test_every_fault_has_its_place() -> None:
    for fault in FAULTS:
        assert (RUNTIME / f"{fault.file}.swift").read_text(encoding="utf-8").count(fault.old) == 1, fault.name
        assert fault.found in CHECKS


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault, proof: Proof) -> None:
    workspace = proof.workspace
    product = workspace.product if fault.found in IN_TOOL else "proof"
    with put_in(fault, workspace.folder / "Sources" / workspace.module):
        workspace.build(product, warnings=True)
        with pytest.raises(AssertionError):
            CHECKS[fault.found](proof)
    workspace.build(product)
