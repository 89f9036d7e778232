"""`mctc build --target coreai` and `mctc run` on what it wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mctc.audio import bundled_recording, load_audio
from mctc.diagnostics.errors import ExitCode
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.runtime.built import open_built
from mctc.runtime.speech import transcribe
from mctc.targets.coreai.errors import CoreAiError
from tests.conftest import Run

DEFINES = {"width": 32, "depth": 2, "vocab": 30}
GATED = Path(__file__).parent / "gated.mct"
SPEC = "spec/mct_small.mct"
RATE = 16_000


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "coreai"
    build(root / SPEC, folder, BuildOptions(target="coreai", defines=DEFINES))
    return folder


def test_it_hears_the_tokens_that_a_core_ml_build_hears(built: Path, root: Path, tmp_path: Path) -> None:
    build(root / SPEC, tmp_path / "ane", BuildOptions(defines=DEFINES))
    soundfile.write(tmp_path / "short.wav", load_audio(bundled_recording())[RATE : 2 * RATE + 111], RATE)
    core_ai, core_ml = (
        transcribe(open_built(folder), tmp_path / "short.wav").emissions for folder in (built, tmp_path / "ane")
    )
    assert [token for token, _ in core_ai] == [token for token, _ in core_ml]
    assert len(core_ai) > 20


def test_the_manifest_says_how_the_asset_is_called(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_text())
    assert (manifest["target"], manifest["options"]["state"], manifest["options"]["precision"]) == (
        "coreai", "io", "fp16",
    )  # fmt: skip
    encoder = manifest["functions"]["encoder"]
    assert encoder["package"] == "mct_small.aimodel"
    assert [port["name"] for port in encoder["inputs"]] == ["mel", "state"]
    assert [port["name"] for port in encoder["outputs"]] == ["output", "state_out"]
    assert {entry["function"] for entry in manifest["verification"]} == {"encoder", "predictor", "joiner"}
    assert max(entry["error"] for entry in manifest["verification"]) < 5e-3


def test_no_rule_of_the_neural_engine_is_broken_at_error_severity(built: Path) -> None:
    report = json.loads((built / "neural_engine.json").read_text())
    assert not [finding for finding in report["findings"] if finding["severity"] == "error"]
    assert {finding["rule"] for finding in report["findings"]} >= {"NE06", "NE09"}


def test_the_command_says_what_the_rules_found(mctc: Run, root: Path) -> None:
    done = mctc("build", root / SPEC, "--target", "coreai", *(f"-D{key}={value}" for key, value in DEFINES.items()))
    assert done.returncode == ExitCode.OK, done.stderr
    assert "rules of the Neural Engine: " in done.stdout
    assert " warning" in done.stdout
    assert " error" not in done.stdout


def test_leaving_out_what_makes_it_fit_stops_the_build(root: Path, tmp_path: Path) -> None:
    options = BuildOptions(target="coreai", defines=DEFINES, without=("legalise",))
    with pytest.raises(CoreAiError, match=r"layer_norm of encoder.* has no Core AI form"):
        build(root / SPEC, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_what_a_rule_calls_an_error_stops_the_build_unless_it_is_allowed(tmp_path: Path) -> None:
    options = BuildOptions(target="coreai", without=("legalise",))
    told = r"the Neural Engine's rule set finds 1 error.*\n  NE32 silu .* 1 in gate, first silu f16\[1, 16, 1, 32\]"
    with pytest.raises(BuildError, match=told) as refused:
        build(GATED, tmp_path / "out", options)
    assert "writes neural_engine.json" in str(refused.value.hint)
    assert not (tmp_path / "out").exists()
    build(GATED, tmp_path / "out", replace(options, allow_errors=True))
    assert "NE32" in (tmp_path / "out" / "neural_engine.json").read_text()
    build(GATED, tmp_path / "exact", replace(options, precision="fp32"))
    assert not (tmp_path / "exact" / "neural_engine.json").exists()


def test_arrays_run_through_an_asset(mctc: Run, built: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", enc=np.ones((1, 32, 1, 8)), pred=np.ones((1, 32, 1, 1)))
    asset = built / "mct_small.aimodel"
    done = mctc("run", asset, "--function", "joiner", "--input", "in.npz", "--output", "out.npz")
    assert done.returncode == ExitCode.OK, done.stderr
    assert np.isfinite(np.load(tmp_path / "out.npz")["output"]).all()
