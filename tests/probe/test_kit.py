"""The kit that goes to a Mac's owner: packages that are read back, and keep the probed op on the engine."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.table import table
from mctc.package import read_package
from mctc.probe import run_probe
from mctc.probe.answers import read_answers
from mctc.probe.kit import probes, write_kit
from mctc.probe.placements import CODES
from mctc.probe.probe import BALLAST, Kind


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "kit"
    write_kit(folder)
    return folder


def test_it_has_numbers_tables_and_twenty_contested_rules(kit: Path) -> None:
    kinds = [probe.kind for probe in probes().values()]
    assert kinds.count(Kind.PLACEMENT) == len(CODES) == 20
    assert all(table().rules[code].contested for code in CODES)
    assert {"table_silu", "table_gelu", "sums", "additions"} <= probes().keys()
    assert sorted(path.name for path in kit.iterdir() if path.is_file()) == [
        "README.txt", "export_plan.py", "probes.json", "run_probe.py",
    ]  # fmt: skip


def test_every_package_is_read_back_as_it_was_meant(kit: Path) -> None:
    for name, probe in probes().items():
        package = read_package(kit / "packages" / f"{name}.mlpackage")
        written, meant = package.functions["main"], probe.package.functions["main"]
        assert (written.inputs, written.outputs, written.states) == (meant.inputs, meant.outputs, meant.states)
        assert [op.type for op in written.operations if op.type != "const"] == [
            op.type for op in meant.operations if op.type != "const"
        ]
        Evaluator(package).function()
        assert set(np.load(kit / "inputs" / f"{name}.npz")) == {item.name for item in meant.inputs}


def test_results_are_those_of_the_program_without_ballast(kit: Path) -> None:
    probe = probes()["sums"]
    package = read_package(kit / "packages" / "sums.mlpackage")
    with np.load(kit / "inputs" / "sums.npz") as inputs:
        result = Evaluator(package, "fp16").function()(dict(inputs))["y"]
    alone = Evaluator(probe.bare, "fp16").function()({"x": probe.inputs["x"]})["y"]
    np.testing.assert_array_equal(result, alone)


@pytest.mark.parametrize("device", ["M1", "M4", "M6"])
def test_the_ballast_keeps_a_probed_function_on_the_engine(device: str) -> None:
    rules = list(table().rules.values())
    for probe in probes().values():
        (function,) = check_package(probe.package, rules, device=device).functions
        ballast = [op for op in function.ops if op.name.startswith(BALLAST)]
        assert len(ballast) == 16
        assert all(op.predicted is Predicted.ANE for op in ballast), probe.name
        if probe.output:
            (probed,) = [op for op in function.ops if probe.output in op.outputs]
            assert probed.predicted is Predicted.ANE, probe.name


@pytest.mark.slow
def test_coremltools_infers_the_same_types(kit: Path) -> None:
    from mctc.targets.ane.coremltools_check import check_with_coremltools

    for name in probes():
        assert check_with_coremltools(kit / "packages" / f"{name}.mlpackage", hide=True)


class Model:
    """coremltools' MLModel: what it is called with is checked, what it gives is zeros."""

    def __init__(self, path: str, compute_units: str) -> None:
        assert compute_units in ("CPU_AND_NE", "CPU_ONLY")
        if "table_tanh" in path:
            raise RuntimeError("no execution plan")
        self.function = read_package(Path(path)).functions["main"]

    def get_spec(self) -> Any:
        return SimpleNamespace(description=SimpleNamespace(state=self.function.states))

    def make_state(self) -> Any:
        return "a state"

    def predict(self, inputs: dict[str, Any], state: Any = None) -> dict[str, Any]:
        assert {item.name for item in self.function.inputs} == inputs.keys()
        assert state == ("a state" if self.function.states else None)
        return {item.name: np.zeros(item.type.shape, np.float16) for item in self.function.outputs}  # type: ignore[union-attr]


def test_the_script_runs_with_core_ml_s_own_calls(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = SimpleNamespace(CPU_AND_NE="CPU_AND_NE", CPU_ONLY="CPU_ONLY")
    modules = {
        "coremltools": SimpleNamespace(
            __version__="9.0", ComputeUnit=units, models=SimpleNamespace(MLModel=Model)
        ),
        "export_plan": SimpleNamespace(
            _chip=lambda: "Apple M3",
            export=lambda *_: {"functions": {"main": [{"outputs": ["y"], "type": "conv", "preferred": "ane"}]}},
        ),
    }  # fmt: skip
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.mac_ver", lambda: ("26.1", ("", "", ""), "arm64"))
    monkeypatch.setattr(run_probe, "__file__", str(kit / "run_probe.py"))
    record = json.loads((kit / "probes.json").read_text())
    kept = [each for each in record["probes"] if each["name"] in ("additions", "table_tanh", "ane_st_001")]
    whole = (kit / "probes.json").read_text()
    (kit / "probes.json").write_text(json.dumps({**record, "probes": kept}))
    try:
        assert run_probe.main() == 0
    finally:
        (kit / "probes.json").write_text(whole)
    answers = read_answers(kit / "answers.zip")
    assert (answers.chip, answers.system, answers.coremltools) == ("Apple M3", "macOS 26.1", "9.0")
    assert answers.answers["additions"].engine is not None
    assert answers.answers["additions"].places == {"y": "ane"}
    assert answers.answers["table_tanh"].errors["engine"] == "RuntimeError: no execution plan"
    assert zipfile.ZipFile(kit / "answers.zip").namelist()[0] == "answers.json"


def test_elsewhere_the_script_says_that_it_needs_a_mac(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_probe.main() == 2
    assert "only macOS" in capsys.readouterr().err
