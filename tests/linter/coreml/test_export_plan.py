"""The script that asks Core ML on a Mac, with coremltools' own classes and a made-up Core ML underneath."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mctc.linter.coreml.export_plan import UNITS
from mctc.linter.coreml.measured import exporter, read_plan
from mctc.linter.coreml.plan import Measured

FAKE = Path(__file__).with_name("fake_core_ml.py")
CONV = {"type": "ios18.conv", "outputs": ["y"], "preferred": "NeuralEngine", "supported": ["CPU", "NeuralEngine"]}
OPERATIONS = [
    {"type": "const", "outputs": ["w"]},
    {"type": "ios18.constexpr_lut_to_dense", "outputs": ["w_1"]},
    {**CONV, "cost": 0.75},
    {
        "type": "ios15.cond", "outputs": ["c"], "preferred": "CPU", "supported": ["CPU", "GPU"], "cost": 0.25,
        "blocks": [[{"type": "const", "outputs": ["k"]}, {**CONV, "outputs": ["in_then"]}], []],
    },
    {"type": "ios18.split", "outputs": ["s_0", "s_1"]},
]  # fmt: skip


@pytest.fixture(scope="session")
def coremltools() -> Path:
    """The folder of coremltools, which is not imported."""
    spec = find_spec("coremltools")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture
def export(tmp_path: Path, coremltools: Path) -> Any:
    """`export(functions, ["--units", "all"], units="ALL")`: the script's run over a model of these functions."""

    def run(
        functions: Any, arguments: list[str] | None = None, units: str = "CPU_AND_NE", model: str = "m.mlpackage"
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / model).mkdir(exist_ok=True)
        (tmp_path / "answers.json").write_text(json.dumps({"functions": functions, "units": units}))
        (tmp_path / "export_plan.py").write_text(exporter())
        command = [FAKE, coremltools / "models", "answers.json", "export_plan.py", model, *(arguments or [])]
        return subprocess.run(
            [sys.executable, *map(str, command)], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_what_it_writes_is_read_again(export: Any, tmp_path: Path) -> None:
    done = export({"main": OPERATIONS, "other": []})
    assert done.returncode == 0, done.stderr
    (tmp_path / "plan.json").write_text(done.stdout)
    plan = read_plan(tmp_path / "plan.json")
    assert (plan.model, plan.system, plan.units) == ("m.mlpackage", "macOS 15.3", "cpuAndNeuralEngine")
    assert plan.chip
    both = frozenset(("ane", "cpu"))
    assert plan.functions == {
        "main": (
            Measured(("y",), "conv", "ane", both, 0.75),
            Measured(("c",), "cond", "cpu", frozenset(("cpu", "gpu")), 0.25),
            Measured(("in_then",), "conv", "ane", both, None),
            Measured(("s_0", "s_1"), "split", None, frozenset(), None),
        ),
        "other": (),
    }


@pytest.mark.parametrize("model", ["m.mlmodelc", "m.mlmodel"])
def test_compiled_models_and_bare_ones_are_taken_and_units_passed_on(export: Any, tmp_path: Path, model: str) -> None:
    done = export({"main": OPERATIONS}, ["--units", "all", "-o", "plan.json"], units="ALL", model=model)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert read_plan(tmp_path / "plan.json").units == "all"


def test_a_model_that_is_no_program_is_said(export: Any) -> None:
    done = export(None)
    assert done.returncode == 1
    assert "not an ML program" in done.stderr
    assert "Traceback" not in done.stderr


def test_elsewhere_than_on_a_mac_it_says_so(tmp_path: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    (tmp_path / "export_plan.py").write_text(exporter())
    for model, said in ((".", "on a Mac"), ("none.mlpackage", "no such model")):
        done = subprocess.run(
            [sys.executable, "export_plan.py", model], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert said in done.stderr


def test_compute_units_and_the_compiler_are_called_as_coremltools_has_them(coremltools: Path) -> None:
    unit = next(each for each in classes(coremltools / "__init__.py") if each.name == "ComputeUnit")
    names = {each.targets[0].id for each in unit.body if isinstance(each, ast.Assign)}  # type: ignore[attr-defined]
    assert set(UNITS.values()) <= names
    tree = ast.parse((coremltools / "models" / "utils.py").read_text(encoding="utf-8"))
    (compiler,) = (each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "compile_model")
    assert [each.arg for each in compiler.args.args] == ["model", "destination_path"]


def classes(file: Path) -> list[ast.ClassDef]:
    return [each for each in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(each, ast.ClassDef)]
