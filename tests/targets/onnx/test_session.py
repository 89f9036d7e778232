"""Models in onnxruntime: what is wrong with a call is said in its words' stead; the packages may be missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mctc.driver.engine import RuntimeMissingError
from mctc.driver.options import BuildError, BuildOptions
from mctc.runtime.arrays import run_arrays
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.session import OnnxFunction, OnnxModel
from mctc.targets.onnx.target import OnnxTarget
from mctc.weights import Weights

from .executed import model_of, program_of
from .test_model_files import compiled_as_it_is

TEXT = """function @f(%x: f32[batch B, channel 2], %t: i32[batch B] < 5) {
  %0 = parameter @w: f32[5, 2] %1 = embedding(%t, %0) %2 = add(%x, %1) return y = %2
}"""
GOOD = {"x": np.ones((3, 2)), "t": np.zeros(3)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    program = program_of(TEXT)
    return model_of(program, program.functions["f"], tmp_path)


@pytest.fixture
def function(path: Path) -> OnnxFunction:
    return OnnxModel(path).function("f")


def test_a_call_takes_arrays_of_any_number_type(function: OnnxFunction) -> None:
    assert [port.name for port in function.inputs] == ["x", "t"]
    assert function({"x": np.ones((3, 2), np.float16), "t": [0, 1, 4]})["y"].shape == (3, 2)
    assert function.make_state() == {}


def test_any_model_runs_over_arrays(path: Path, tmp_path: Path) -> None:
    """What `mctc run model.onnx --input` does: in the precision that the file computes in, unless another is asked."""
    np.savez(tmp_path / "inputs.npz", x=GOOD["x"], t=GOOD["t"])
    outputs, states, _ = run_arrays(path, [str(tmp_path / "inputs.npz")])
    assert outputs["y"].shape == (3, 2)
    assert states == {}


WRONG = [
    ({"x": GOOD["x"]}, "'f' needs input `t`"),
    ({**GOOD, "mel": GOOD["x"]}, "'f' has no input `mel`"),
    ({**GOOD, "x": np.ones((3, 4))}, r"input `x` of 'f' is \[B, 2\], not \[3, 4\]"),
    ({**GOOD, "x": np.ones(3)}, r"input `x` of 'f' is \[B, 2\], not \[3\]"),
    ({**GOOD, "t": np.full(3, 7)}, "'f' can't be executed: .*"),
]


@pytest.mark.parametrize(("inputs", "message"), WRONG)
def test_inputs_that_do_not_fit_are_named(function: OnnxFunction, inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(OnnxError, match=message) as caught:
        function(inputs)
    assert "\n" not in str(caught.value)


def test_another_function_a_damaged_file_and_none_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(OnnxError, match="holds no function `g`"):
        OnnxModel(path).function("g")
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    with pytest.raises(OnnxError, match=r"damaged\.onnx: onnxruntime can't load it"):
        OnnxModel(tmp_path / "damaged.onnx")
    with pytest.raises(OnnxError, match=r"none\.onnx is no file"):
        OnnxModel(tmp_path / "none.onnx")


def test_another_precision_is_refused(path: Path) -> None:
    with pytest.raises(BuildError, match="computes in fp32, not in fp16"):
        OnnxTarget().engine(path, "fp16")


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_build_without_the_packages_says_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    program = program_of(TEXT)
    with pytest.raises(RuntimeMissingError, match=f"{name} is not installed") as caught:
        OnnxTarget().write(compiled_as_it_is(program), Weights(program.sources), tmp_path, BuildOptions(), {})
    assert caught.value.hint == "pip install 'mctc[onnx]'"


def test_running_without_onnxruntime_says_how_to_get_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RuntimeMissingError, match="onnxruntime is not installed"):
        OnnxTarget().engine(path, "fp32")


def test_the_target_is_listed_without_importing_onnx(imported_by: Callable[..., set[str]], root: Path) -> None:
    modules = imported_by("build", "--help")
    assert not modules & {"onnx", "onnxruntime"}
