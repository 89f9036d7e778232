"""coremltools' own type inference: what it rejects, and that its import brings nothing else along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mctc.evaluate.coreml import TypeMismatch
from mctc.ir.text import parse_program
from mctc.package.protobuf import model_class
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


def test_it_brings_neither_torch_nor_its_like_and_leaves_no_trace(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_coremltools_rejects_an_operation_that_coremltools_does_not_have(make: Make) -> None:
    made = make(streaming_program())
    path = made.folder / "tiny.mlpackage"
    model = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
    assert AneTarget().retyped(path) > 15
    data = model.read_bytes()
    model.write_bytes(data.replace(b"silu", b"sulu"))
    with pytest.raises(EmitError, match="sulu"):
        AneTarget().retyped(path)


def test_a_wrong_declared_type_is_found_by_coremltools_and_by_reading_back(make: Make) -> None:
    made = make(streaming_program())
    path = made.folder / "tiny.mlpackage" / "Data" / "com.apple.CoreML" / "model.mlmodel"
    model = model_class()()
    model.ParseFromString(path.read_bytes())
    operations = model.mlProgram.functions["encoder"].block_specializations["CoreML8"].operations
    wrong = next(operation for operation in operations if operation.type == "silu")
    wrong.outputs[0].type.tensorType.dimensions[1].constant.size = 15
    path.write_bytes(model.SerializeToString(deterministic=True))
    with pytest.raises(EmitError, match="Mismatch between var types"):
        made.retyped()
    with pytest.raises(TypeMismatch):
        made.check()


ONE_NUMBER = """program @tiny {
  function @loudest(%x: f32[batch 1, channel 4, unit 1, time 8]) {
    %0 = reduce_max(%x, axis = 3)
    %1 = reduce_max(%0, axis = 1)
    %2 = reshape(%1, axes = [])
    return output = %2
  }
}"""


def test_a_result_that_is_one_number_has_no_axes(make: Make) -> None:
    made = make(parse_program(ONE_NUMBER))
    assert made.retyped() > 2
    made.check()
