"""The proof of proof: every check holds on a good build, and the right one fails on a spoilt one."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mctc.cli.verify import report, summary, verify
from mctc.driver import BuildOptions, build
from mctc.driver.manifest import sha256
from mctc.driver.options import BuildError
from mctc.numerics.battery import NOISE
from mctc.proof.check import Check
from mctc.proof.proof import Proof
from mctc.proof.runtimes import runtimes
from mctc.runtime.step import Packages


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    shutil.copytree(small, folder)
    return folder


def checks(folder: Path, *arguments: str) -> tuple[int, dict[tuple[str, str], dict]]:
    alone = [] if "--runtime" in arguments else ["--no-runtimes"]
    alone += [] if "--all" in arguments else ["--input", "one frame", "--input", "silence"]  # the shortest
    arguments = tuple(each for each in arguments if each != "--all")
    done = CliRunner().invoke(verify, [str(folder), "--json", *alone, *arguments], standalone_mode=False)
    assert done.exception is None, done.exception
    return int(done.return_value), {(r["name"], r["component"]): r for r in json.loads(done.stdout)}


def _blobs(data: bytes) -> list[tuple[int, int]]:
    """(offset, length) of every tensor in a weight file, from the records that stand before them."""
    marks = [i for i in range(64, len(data) - 24, 64) if data[i : i + 4] == b"\xef\xbe\xad\xde"]
    return [(offset, size) for size, offset in (struct.unpack_from("<QQ", data, i + 8) for i in marks)]


def relist(folder: Path, name: str) -> None:
    """Makes the manifest agree with a file that was changed, so that only later checks can notice."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.quick("small")
@pytest.mark.parametrize("which", ["small", "ahead", "bare"])
def test_every_rung_holds_on_a_good_build(which: str, request: pytest.FixtureRequest) -> None:
    code, found = checks(request.getfixturevalue(which), "--all")
    assert code == 0
    assert {r["ok"] for r in found.values()} == {True}
    assert ("IR reference, chunk x 2", "encoder") in found
    assert ("IR reference, chunk x 2", "predictor") not in found
    for component in ("encoder", "predictor", "joiner"):
        assert float(found["package evaluator, fp32", component]["measured"]) <= 1e-5
        assert float(found["package evaluator, fp16", component]["measured"].split()[0]) >= 40


def test_every_runtime_agrees_on_a_good_build(small: Path) -> None:
    pytest.importorskip("torch")
    code, found = checks(small, "--runtime", "torch", "--all")
    assert code == 0
    for component in ("encoder", "predictor", "joiner"):
        for check in ("torch, fp32", "torch, fp32, whole"):
            assert 0 < found[check, component]["error"] <= 1e-5
            assert found[check, component]["seconds"] > 0
    assert found["torch, fp32, padded", "encoder"]["ok"] is True


def test_a_runtime_that_is_not_installed_is_not_run(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.driver.engine import RuntimeMissingError
    from mctc.targets.torch.target import TorchTarget

    def missing(*_: object) -> None:
        raise RuntimeMissingError("torch is not installed")

    monkeypatch.setattr(TorchTarget, "engine", missing)
    code, found = checks(small, "--runtime", "torch")
    assert code == 0
    assert found["torch", "build"]["ok"] is None
    assert found["torch", "build"]["measured"] == "torch is not installed"


def test_a_runtime_is_asked_by_its_own_name_too() -> None:
    assert [target.name for target in runtimes(["onnxruntime", "torch"])] == ["onnx", "torch"]


def test_a_runtime_that_does_not_exist_is_an_error(small: Path) -> None:
    with pytest.raises(BuildError, match="there is no runtime `torhc`") as caught:
        Proof(small, runtimes=["torhc"])
    assert "torch" in str(caught.value.hint)


def test_a_changed_file_fails_the_rung_of_files(copy: Path) -> None:
    with (copy / "origins.json").open("a") as file:
        file.write("\n")
    code, found = checks(copy)
    assert code == 1
    assert found["files", "build"]["measured"] == "differ: origins.json"
    assert [key for key, r in found.items() if r["ok"] is False] == [("files", "build")]


def test_a_changed_weight_fails_the_package_and_nothing_below_it(copy: Path) -> None:
    weights = next(copy.glob("*.mlpackage/Data/**/weight.bin"))
    data = bytearray(weights.read_bytes())
    largest = max(_blobs(bytes(data)), key=lambda blob: blob[1])
    data[largest[0] : largest[0] + largest[1] // 2] = bytes(largest[1] // 2)
    weights.write_bytes(data)
    relist(copy, weights.relative_to(copy).as_posix())
    code, found = checks(copy)
    assert code == 1
    failed = {name for (name, _), r in found.items() if r["ok"] is False}
    assert failed == {"package evaluator, fp32", "package evaluator, fp16"}


def test_a_changed_program_fails_the_passes_that_should_have_made_it(copy: Path) -> None:
    program = copy / "program.mir"
    text = program.read_text()
    assert "silu(" in text
    program.write_text(text.replace("silu(", "relu(", 1))
    relist(copy, "program.mir")
    code, found = checks(copy)
    assert code == 1
    assert found["passes", "build"]["ok"] is False
    assert found["IR reference, steps", "encoder"]["ok"] is False
    assert found["package evaluator, fp32", "encoder"]["ok"] is True


def test_a_program_that_breaks_a_rule_of_the_ir_ends_the_climb(copy: Path) -> None:
    whole = copy / "whole.mir"
    whole.write_text(whole.read_text().replace("layer_norm(", "layer_nrm(", 1))
    relist(copy, "whole.mir")
    code, found = checks(copy)
    assert code == 1
    assert found["programs", "build"]["ok"] is False
    assert ("package evaluator, fp32", "encoder") not in found


def test_without_the_spec_the_passes_are_not_run_and_the_rest_is(copy: Path, tmp_path: Path, monkeypatch) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["source"]["spec"] = "gone.mct"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    code, found = checks(copy)
    assert code == 0
    assert found["passes", "build"]["ok"] is None


def test_trained_weights_are_asked_for(root: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from mctc.language import elaborate_file

    spec = tmp_path / "m.mct"
    spec.write_text(
        "model m {\n dim B: batch\n dim T: time @ 100 Hz\n"
        " component c(x: f32[B, T, 8]) -> f32[B, T, 4] { return linear(x, 4) }\n stream { chunk = 40 ms }\n}\n"
    )
    rng = np.random.default_rng(0)
    arrays = {n: rng.normal(size=t.shape).astype(np.float32) for n, (t, _) in elaborate_file(spec).sources.items()}
    save_file(arrays, tmp_path / "w.safetensors")
    folder = tmp_path / "out"
    build(spec, folder, BuildOptions(weights=tmp_path / "w.safetensors"))
    code, found = checks(folder)
    assert code == 1
    assert "checkpoint" in found["IR reference, steps", "c"]["measured"]
    code, found = checks(folder, "--weights", str(tmp_path / "w.safetensors"))
    assert code == 0
    assert found["package evaluator, fp32", "c"]["ok"] is True


def test_padded_classes_are_no_part_of_an_error(small: Path) -> None:
    proof = Proof(small)
    logits = proof.over_chunks("joiner", Packages(proof.built), proof.deployed, NOISE)["output"]
    assert logits.shape == proof.subject.utterance("joiner").results["output"].shape
    assert 31 in logits.shape
    assert np.abs(logits).max() < 1000


def test_the_table_fits_80_columns_and_says_what_is_left_out() -> None:
    made = [Check("files", "build", "6 as built", "SHA-256", True), Check("passes", "build", "gone " * 30, "", None)]
    made[0] = replace(made[0], notes=("op of a place on one item, past its limit: rounding moves it as far " * 2,))
    assert max(map(len, report(made).splitlines())) <= 80
    assert "1 checks hold; 1 could not be run" in summary(made)
    assert "not proven" in summary([*made, Check("x", "y", "z", "", False)])


def test_a_runtime_has_one_row_which_names_the_components_that_disagree() -> None:
    made = [
        Check("torch, fp32", "encoder", "1.0e-06", "0.0001", True, 1e-6, 0.5),
        Check("torch, fp32", "joiner", "2.0e-01", "0.0001", False, 0.2, 0.25),
        Check("torch, fp32", "predictor", "3.0e-07", "0.0001", True, 3e-7, 0.25),
    ]
    (row,) = [line for line in report(made).splitlines() if line.startswith("torch")]
    assert row.split() == ["torch,", "fp32", "2.0e-01", "0.0001", "1.00", "FAILED:", "joiner"]


def test_a_checkpoint_for_a_build_of_initial_weights_is_refused(small: Path) -> None:
    with pytest.raises(BuildError, match=r"holds initial weights, not those of w\.safetensors"):
        Proof(small, Path("w.safetensors"))
