"""The table of faults stays true to the sources and the suite."""

from __future__ import annotations

import ast
import os

import pytest

from .document import PATH, document
from .fault import ROOT, Fault
from .faults import FAULTS

LEAST = 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_edits_one_place_and_leaves_a_text_that_parses(fault: Fault) -> None:
    edited = fault.edited()
    assert edited != (ROOT / fault.file).read_text(encoding="utf-8")
    if fault.file.endswith(".py"):
        ast.parse(edited)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_test_that_finds_a_fault_exists(fault: Fault) -> None:
    file, _, test = fault.caught_by.partition("::")
    defined = {
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
    }
    assert not test or test.partition("[")[0] in defined


def test_there_are_enough_faults_and_no_two_are_alike() -> None:
    assert len(FAULTS) >= LEAST
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)


def test_the_page_shows_the_table() -> None:
    """MCTC_UPDATE_DOCS=1 writes it anew."""
    if os.environ.get("MCTC_UPDATE_DOCS"):
        PATH.write_text(document(), encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == document()
