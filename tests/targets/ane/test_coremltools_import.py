"""Importing coremltools without what it would import besides."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.target import AneTarget

from .conftest import Make
from .hand_made import streaming_program

SCRIPT = """
import logging, sys
from mctc.targets.ane.coremltools_import import HIDDEN, import_coremltools
module = import_coremltools(hide=True)
assert module.__name__ == "coremltools" and module is import_coremltools()
assert not set(HIDDEN) & set(sys.modules), set(HIDDEN) & set(sys.modules)
assert logging.root.manager.disable == 0
"""


def test_it_brings_neither_torch_nor_its_like_and_leaves_no_trace() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_witness_rejects_an_operation_that_coremltools_does_not_have(make: Make) -> None:
    made = make(streaming_program())
    path = made.folder / "tiny.mlpackage"
    model = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    assert AneTarget().witness(path) > 15
    data = model.read_bytes()
    model.write_bytes(data.replace(b"silu", b"sulu"))
    with pytest.raises(EmitError, match="sulu"):
        AneTarget().witness(path)
