"""Packages that are written are those that are read."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.linter.coreml.notation import read_notation
from mctc.package import PackageError, read_package
from mctc.package.write import write_package

PROGRAM = """
    x: fp16[1, 16, 1, 4]
    i: int32[2]
    s: state[fp16[1, 16, 1, 4]]
    r: fp16[1, 16, 1, 4] = read_state(input=s)
    w: fp16[16, 16, 1, 1] = constexpr_lut_to_dense(indices=uint4[16, 16, 1, 1](3), lut=fp16[1, 1, 1, 1, 16, 1](0.5))
    c: fp16[1, 16, 1, 4] = conv(x=x, weight=w, bias=fp16[16](2), pad_type="valid")
    f: fp32[1, 16, 1, 4] = cast(x=c, dtype="fp32")
    g: fp32[1, 16, 1, 4] = add(x=f, y=fp32(0.25))
    h: fp16[1, 16, 1, 4] = cast(x=g, dtype="fp16")
    y: fp16[1, 16, 1, 4] = add(x=h, y=r)
    write_state(input=s, data=y)
    z: fp16[2, 16, 1, 4] = gather(x=y, indices=i, axis=0, validate_indices=False)
    return z
"""


def test_a_written_package_computes_the_same(tmp_path: Path) -> None:
    meant = read_notation(cleandoc(PROGRAM))
    write_package(meant, tmp_path / "p.mlpackage")
    read = read_package(tmp_path / "p.mlpackage")
    x = np.linspace(-1, 1, 64, dtype=np.float16).reshape(1, 16, 1, 4)
    inputs = {"x": x, "i": np.zeros(2, np.int32)}
    results = []
    for package in (meant, read):
        function = Evaluator(package).function()
        state = function.make_state()
        function(inputs, state)
        results.append((function(inputs, state)["z"], state["s"]))
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "p.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size > 64


def test_functions_of_one_package_stay_apart(tmp_path: Path) -> None:
    text = """
        def one():
            x: fp16[1, 4]
            y: fp16[1, 4] = relu(x=x)
            return y
        def two():
            x: fp16[1, 6]
            y: fp16[1, 6] = tanh(x=x)
            return y
    """
    write_package(read_notation(cleandoc(text)), tmp_path / "p.mlpackage")
    read = read_package(tmp_path / "p.mlpackage")
    assert set(read.functions) == {"one", "two"}
    assert read.default_function == "one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: fp16[1, _]\ny: fp16[1, _] = relu(x=x)\nreturn y", "no definite shape"),
        ("x: fp16[1, 4]\ny: bool[1, 4] = greater(x=x, y=0.0)\nreturn y", "can't hand over bool"),
    ],
    ids=["open", "bool"],
)
def test_what_has_no_written_form_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=message):
        write_package(read_notation(text), tmp_path / "p.mlpackage")
