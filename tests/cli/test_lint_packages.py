"""`mctc lint` over Core ML packages: what it prints, how it ends, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def saved(coremltools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with an error (argmax), a remark (gelu) and a repair (two transposes that cancel)."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    @mb.program(input_specs=[mb.TensorSpec((1, 32, 4, 64), dtype=types.fp16)], opset_version=coremltools.target.iOS18)
    def program(x: Any) -> Any:
        y = mb.transpose(x=mb.transpose(x=mb.gelu(x=x, mode="EXACT"), perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
        return mb.reduce_argmax(x=mb.exp(x=y), axis=1, keep_dims=False, name="best")

    model = coremltools.convert(
        program, minimum_deployment_target=coremltools.target.iOS18, skip_model_load=True,
        compute_units=coremltools.ComputeUnit.CPU_ONLY, pass_pipeline=coremltools.PassPipeline.EMPTY,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("saved") / "model.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture
def package(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model.mlpackage"))


def test_the_report_fits_a_terminal_and_errors_exit_with_1(mctc: Run, package: Path) -> None:
    done = mctc("lint", "model.mlpackage")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "error ANE-OP-008" in done.stdout
    assert "for H13 (M1, A14), iOS 18 or macOS 15 (the oldest that the opset permits" in done.stdout
    assert "Not applied, for want of the target: " in done.stdout
    assert "MLComputePlan" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--fail-on", "never"), 0),
        (("--ignore", "ANE-OP-008,ANE-DT"), 0),
        (("--ignore", "ANE-OP-008,ANE-DT", "--fail-on", "info"), 1),
        (("--severity", "ANE-OP-008=warning,ANE-DT=info"), 0),
        (("--severity", "ANE-OP-008=off,ANE-DT=off"), 0),
        (("--select", "ANE-GE"), 0),
        (("--select", "activations", "--severity", "ANE-GE-001=error"), 1),
    ],
)
def test_what_fails_is_chosen(mctc: Run, package: Path, options: tuple[str, ...], code: int) -> None:
    assert mctc("lint", package, *options).returncode == code


def test_settings_come_from_pyproject_and_the_command_line_wins(mctc: Run, package: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.mctc.lint]\ndevice = "m4"\nfail-on = "never"\n')
    assert "for M4 (H16)" in mctc("lint", package).stdout
    assert mctc("lint", package).returncode == 0
    assert mctc("lint", package, "--fail-on", "error").returncode == 1
    assert "for A17 (H16), iOS 26" in mctc("lint", package, "--device", "a17", "--os", "ios26").stdout
    assert mctc("lint", package, "--isolated").returncode == 1


def test_every_format_is_written_to_a_file_or_printed(mctc: Run, package: Path, tmp_path: Path) -> None:
    found = json.loads(mctc("lint", package, "--format", "json").stdout)
    assert {finding["code"] for finding in found["packages"][0]["findings"]} >= {"ANE-OP-008", "ANE-GE-001"}
    assert json.loads(mctc("lint", package, "--format", "sarif").stdout)["version"] == "2.1.0"
    assert "::error title=" in mctc("lint", package, "--format", "github").stdout
    assert "ANE-OP-008" in mctc("lint", package, "--format", "markdown").stdout
    done = mctc("lint", package, "--format", "html", "-o", "page.html")
    assert (done.returncode, done.stdout) == (1, "")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_statistics_are_a_line_per_rule_the_worst_first(mctc: Run, package: Path) -> None:
    lines = mctc("lint", package, "--statistics").stdout.splitlines()
    assert lines[0].split()[1] == "error"
    assert any(line.split()[:3] == ["1", "info", "ANE-GE-001"] for line in lines)


def test_a_baseline_leaves_what_is_known_and_fails_on_what_is_new(mctc: Run, package: Path) -> None:
    assert mctc("lint", package, "--write-baseline", "known.json").returncode == 0
    done = mctc("lint", package, "--baseline", "known.json")
    assert done.returncode == 0
    assert "not shown)" in done.stdout
    assert mctc("lint", package, "--write-baseline", "few.json", "--ignore", "ANE-OP-008").returncode == 0
    assert mctc("lint", package, "--baseline", "few.json").returncode == 1
    assert mctc("lint", package, "--baseline", "none.json").returncode == 2


def test_a_difference_says_what_got_better_and_what_worse(mctc: Run, package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "new.mlpackage")
    assert mctc("lint", "--fix", "new.mlpackage", "--fail-on", "never").returncode == 0
    done = mctc("lint", "--diff", "model.mlpackage", "new.mlpackage")
    assert done.returncode == 0
    assert "better" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_repair_is_rehearsed_then_done_and_proven(mctc: Run, package: Path) -> None:
    before = {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}
    done = mctc("lint", "--fix", "--dry-run", package)
    assert "1 would be repaired" in done.stderr
    assert before == {path: path.read_bytes() for path in package.rglob("*") if path.is_file()}
    done = mctc("lint", "--fix", package)
    assert "ANE-LY-005  main: " in done.stderr
    assert "values equal bit for bit" in done.stderr
    assert "0 repaired" in mctc("lint", "--fix", package).stderr


def test_files_inside_and_folders_around_stand_for_the_package(mctc: Run, package: Path) -> None:
    for path in (".", package / "Manifest.json", package / "Data"):
        assert mctc("lint", path, "--statistics").stdout == mctc("lint", package, "--statistics").stdout


def test_a_package_that_cannot_be_read_exits_with_2_and_hides_no_other(
    mctc: Run, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mlpackage").mkdir()
    done = mctc("lint", "broken.mlpackage", "model.mlpackage")
    assert done.returncode == 2
    assert "no Manifest.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ANE-OP-008" in done.stdout


def test_a_neural_network_gets_a_report_of_its_layers(mctc: Run, tmp_path: Path) -> None:
    from mctc.package.protobuf import model_class

    model = model_class()()
    model.specificationVersion = 4
    for kind in ("convolution", "uniDirectionalLSTM", "addBroadcastable"):
        getattr(model.neuralNetwork.layers.add(name=kind), kind).SetInParent()
    (tmp_path / "old.mlmodel").write_bytes(model.SerializeToString())
    done = mctc("lint", "old.mlmodel")
    assert done.returncode == 1
    assert "3 layers, 0 parameters" in done.stdout
    assert "error ANE-NN-002  recurrent layers never run on the Neural Engine" in done.stdout
    assert "info ANE-GR-006" in done.stdout


def test_the_exporter_is_printed(mctc: Run) -> None:
    done = mctc("lint", "--exporter")
    assert done.returncode == 0
    compile(done.stdout, "export_plan.py", "exec")
    assert "MLComputePlan" in done.stdout


def test_a_plugin_brings_rules(mctc: Run, package: Path, tmp_path: Path) -> None:
    (tmp_path / "no_gelu.py").write_text(RULE)
    done = mctc("lint", package, "--plugin", "no_gelu.py", "--select", "ACME-001")
    assert done.returncode == 1
    assert "error ACME-001  a gelu" in done.stdout
    assert "no gelu here (main: " in done.stdout


RULE = """
from mctc.linter.coreml.rule import OpRule, RuleFamily, Severity

MCTC_PLUGINS = {"rules": [RuleFamily(name="acme", title="House rules", rules=(OpRule(
    code="ACME-001", name="no-gelu", summary="a gelu", severity=Severity.ERROR, why="We say so.", fix="Use relu.",
    source="house rules", evidence="M", confidence="H", ops=("gelu",), find=lambda op, target: "no gelu here",
    fires="x: fp16[1, 4]\\ny: fp16[1, 4] = gelu(x=x)\\nreturn y",
    silent="x: fp16[1, 4]\\ny: fp16[1, 4] = relu(x=x)\\nreturn y",
),))]}
"""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to check"),
        (("train.py",), "mctc lint --mps train.py"),
        (("none.mlpackage",), "none.mlpackage"),
        (("model.mlpackage", "--device", "m44"), "there is no device `m44`"),
        (("model.mlpackage", "--os", "ios99"), "there is no system `ios99`"),
        (("model.mlpackage", "--device", "a17", "--os", "macos15"), "a phone's chip"),
        (("model.mlpackage", "--select", "ANE-XX"), "no rule begins with `ANE-XX`"),
        (("model.mlpackage", "--severity", "ANE-CV"), "not of the form CODE=SEVERITY"),
        (("model.mlpackage", "--statistics", "--format", "json"), "--statistics has no form"),
        (("model.mlpackage", "--diff"), "--diff compares two packages"),
        (("model.mlpackage", "--dry-run"), "--dry-run is for --fix"),
        (("model.mlpackage", "--measured", "none.json"), "none.json"),
        (("model.mlpackage", "--config", "none.toml"), "none.toml"),
        (("model.mlpackage", "-o", "none/page.html", "--format", "html"), "can't be written"),
        (("--mps", "--device", "m4", "train.py"), "--device is for packages"),
    ],
)
def test_a_command_line_at_fault_exits_with_2_and_a_way_out(
    mctc: Run, package: Path, arguments: tuple[str, ...], said: str
) -> None:
    (package.parent / "train.py").write_text("import torch\n")
    done = mctc("lint", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_checking_needs_neither_torch_nor_coremltools(imported_by: Callable[..., set[str]], package: Path) -> None:
    assert not {"torch", "coremltools", "scipy", "lark", "networkx", "jinja2"} & imported_by(
        "lint", "--fail-on", "never", package
    )


@pytest.fixture(scope="module")
def flexible(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a last axis from 16 to 70000, 64 by default."""
    from mctc.package.protobuf import model_class

    path = Path(shutil.copytree(saved, tmp_path_factory.mktemp("flexible") / "model.mlpackage"))
    (file,) = path.rglob("*.mlmodel")
    model = model_class()()
    model.ParseFromString(file.read_bytes())
    function = model.mlProgram.functions["main"]
    (block,) = function.block_specializations.values()
    for value in (*function.inputs, *(each for operation in block.operations for each in operation.outputs)):
        for dimension in value.type.tensorType.dimensions:
            if dimension.constant.size == 64:
                dimension.unknown.variadic = False
    ranges = model.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for least, most in ((1, 1), (32, 32), (4, 4), (16, 70000)):
        ranges.add(lowerBound=least, upperBound=most)
    file.write_bytes(model.SerializeToString())
    return path


def test_a_package_of_several_sizes_is_judged_at_each(mctc: Run, flexible: Path) -> None:
    done = mctc("lint", str(flexible), "--select", "ANE-SH-003")
    assert done.returncode == 1
    assert "these figures are at x=1x32x4x64 (default)" in done.stdout
    assert "x=1x32x4x16 (least)" in done.stdout
    assert "only at x=1x32x4x70000 (greatest)" in " ".join(done.stdout.split())
    assert mctc("lint", str(flexible), "--select", "ANE-SH-003", "--shape", "x=1x32x4x65536").returncode == 0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("y=1x32x4x64", "there is no input `y`"),
        ("x=1x32x4", "`x` has 4 axes, not 3"),
        ("x=1x32x4x70001", "axis 3 goes from 16 to 70000, not 70001"),
        ("x", "not of the form INPUT=EXTENTS"),
    ],
)
def test_a_shape_that_the_package_does_not_allow_exits_with_2(
    mctc: Run, flexible: Path, shape: str, message: str
) -> None:
    done = mctc("lint", str(flexible), "--shape", shape)
    assert done.returncode == 2
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert done.stdout == ""


def test_settings_choose_a_size_of_the_inputs_that_a_package_has(mctc: Run, flexible: Path, tmp_path: Path) -> None:
    settings = tmp_path / "lint.toml"
    settings.write_text('[tool.mctc.lint.shape]\nx = "1x32x4x128"\nother = "1x2"\n')
    done = mctc("lint", str(flexible), "--config", str(settings), "--fail-on", "never", "--format", "json")
    (function,) = json.loads(done.stdout)["packages"][0]["functions"]
    assert function["size"] == "x=1x32x4x128"
    done = mctc("lint", str(flexible), "--config", str(settings), "--shape", "x=1x32x4x32", "--fail-on", "never")
    assert "at x=1x32x4x32 (chosen)" in done.stdout
    settings.write_text('[tool.mctc.lint.shape]\nx = "1x32x4x7"\n')
    done = mctc("lint", str(flexible), "--config", str(settings))
    assert done.returncode == 2
    assert "lint.toml: shape x=1x32x4x7" in done.stderr


def test_exclude_leaves_out_packages_by_name_and_folder(mctc: Run, package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "old" / "first.mlpackage")
    done = mctc("lint", ".", "--exclude", "old", "--fail-on", "never")
    assert done.stdout.startswith("model.mlpackage\n")
    assert "first.mlpackage" not in done.stdout
    done = mctc("lint", "model.mlpackage", "old/first.mlpackage", "--exclude", "mod*", "--fail-on", "never")
    assert done.stdout.startswith("old/first.mlpackage\n")
    done = mctc("lint", ".", "--exclude", "*.mlpackage")
    assert done.returncode == 0
    assert "no package is left to check" in done.stderr


def test_info_says_what_a_package_is(mctc: Run, flexible: Path, tmp_path: Path) -> None:
    done = mctc("info", str(flexible))
    assert done.returncode == 0
    assert "axis 3 from 16 to 70000" in done.stdout
    assert "at x=1x32x4x64 (default)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= max(80, len(str(flexible)))
    data = json.loads(mctc("info", str(flexible), "--format", "json", "--shape", "x=1x32x4x32").stdout)
    assert data["models"][0]["functions"][0]["sizes"][0]["size"] == "x=1x32x4x32"
    (tmp_path / "empty.mlmodel").write_bytes(b"")
    done = mctc("info", str(flexible), "empty.mlmodel")
    assert done.returncode == 2
    assert "axis 3 from 16 to 70000" in done.stdout
    assert "error: " in done.stderr
    assert mctc("info", str(flexible), "--shape", "y=1").returncode == 2
