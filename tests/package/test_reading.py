"""A package written by coremltools reads back as what was written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mctc.package import Constant, NamedType, Reference, StateType, TensorType, read_package


def test_the_interface_is_read(made: Path) -> None:
    package = read_package(made)
    assert (package.spec_version, package.default_function, list(package.functions)) == (9, "main", ["main"])
    assert package.metadata.author == "someone"
    assert package.metadata.user["note"] == "a note"
    function = package.functions["main"]
    half = TensorType("fp16", (1, 4, 1, 8))
    assert function.inputs == (NamedType("x", half),)
    assert function.states == (NamedType("past", StateType(TensorType("fp16", (1, 4, 1, 3)))),)
    assert function.outputs == (NamedType("y", TensorType("fp16", (1, 6, 1, 11))),)
    described = package.descriptions["main"]
    assert [(f.name, f.kind, f.type) for f in (*described.inputs, *described.states)] == [
        ("x", "tensor", half),
        ("past", "state", TensorType("fp16", (1, 4, 1, 3))),
    ]


def test_operations_and_their_bindings_are_read(made: Path) -> None:
    operations = list(read_package(made).functions["main"].walk())
    assert [operation.index for operation in operations] == list(range(len(operations)))
    assert {"read_state", "concat", "conv", "write_state", "relu"} <= {operation.type for operation in operations}
    conv = next(operation for operation in operations if operation.type == "conv")
    assert conv.name == "project"
    concat = next(operation for operation in operations if operation.type == "concat")
    assert concat.inputs["values"][1] == Reference("x")
    assert len(concat.inputs["values"]) == 2


def test_a_weight_is_read_from_the_weight_file(made: Path, weight: np.ndarray) -> None:
    operations = read_package(made).functions["main"].operations
    stored = [
        item.attributes["val"] for item in operations if item.type == "const" and item.attributes["val"].stored_bytes
    ]
    assert [constant.stored_bytes for constant in stored] == [weight.nbytes]
    assert isinstance(stored[0], Constant)
    np.testing.assert_array_equal(stored[0].value(), weight)


SCRIPT = """
import sys
from mctc.package import read_package
read_package({path!r})
assert not any(name.split(".")[0] in ("coremltools", "torch") for name in sys.modules)
sys.modules["torch"] = None
import coremltools
spec = coremltools.utils.load_spec({path!r})
assert "main" in spec.mlProgram.functions
assert read_package({path!r}).functions["main"].states
"""


def test_reading_imports_neither_coremltools_nor_torch_and_leaves_a_later_import_working(made: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(path=str(made))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("absent", ["coremltools"])
def test_without_coremltools_the_remedy_is_named(made: Path, absent: str) -> None:
    script = (
        "import importlib.util as u; find = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {absent!r} else find(name, *a)\n"
        "from mctc.package import PackageError, read_package\n"
        f"try: read_package({str(made)!r})\n"
        "except PackageError as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "pip install coremltools", done.stderr
