"""`mctc build` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from mctc.diagnostics.errors import ExitCode
from mctc.driver.manifest import read_manifest

Run = Callable[..., "CompletedProcess[str]"]


def test_it_says_what_it_built_and_how_that_was_proven(mctc: Run, spec: Path, tmp_path: Path) -> None:
    done = mctc("build", spec)
    assert done.returncode == ExitCode.OK, done.stderr
    first, *functions, proof, target, places, train, untrained = done.stdout.splitlines()
    assert first.startswith("build/small: small, ")
    assert [line.split()[0] for line in functions] == ["encoder", "predictor", "joiner"]
    assert "1 state, latency 80 ms" in functions[0]
    assert "read back, type-checked and evaluated" in proof
    assert target.startswith("  predicted for H13 (M1, A14), iOS 18 or macOS 15 ")
    assert places.split(", ") == ["    encoder on the CPU", "joiner on the CPU", "predictor on the CPU"]
    assert "build/small/training" in train
    assert "seed 0" in untrained
    assert (tmp_path / "build" / "small" / "small.mlpackage").is_dir()


def test_options_reach_the_build(mctc: Run, spec: Path, tmp_path: Path) -> None:
    options = ["-D", "depth=1", "-D", "width=16", "--chunk", "160ms", "--state", "io", "--layout", "separate"]
    done = mctc("build", spec, "-o", tmp_path / "x", *options)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "latency 160 ms" in done.stdout
    assert sorted(path.name for path in (tmp_path / "x").glob("*.mlpackage")) == [
        "small_encoder.mlpackage",
        "small_joiner.mlpackage",
        "small_predictor.mlpackage",
    ]


def test_chunks_that_a_target_writes_no_functions_for_are_told(mctc: Run, spec: Path) -> None:
    text = spec.read_text()
    spec.with_name("several.mct").write_text(text.replace("chunk = 80 ms", "chunk = [80 ms, 160 ms, 40 ms]"))
    told = "nothing is written for 160 ms and 40 ms"
    done = mctc("build", spec.with_name("several.mct"), "--target", "onnx")
    assert told in " ".join(done.stdout.split())
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "nothing is written" not in mctc("build", spec.with_name("several.mct")).stdout
    assert (
        "nothing is written"
        not in mctc("build", spec.with_name("several.mct"), "--target", "onnx", "--chunk", "40ms").stdout
    )


def test_a_build_imports_neither_torch_nor_coremltools_nor_scipy(
    imported_by: Callable[..., set[str]], spec: Path
) -> None:
    assert not imported_by("build", spec) & {"torch", "coremltools", "coreai", "onnx", "scipy", "rich", "sympy"}


def test_a_program_is_printed_after_a_pass(mctc: Run, spec: Path) -> None:
    done = mctc("build", spec, "--print-after", "linear-to-conv")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "# after linear-to-conv" in done.stdout
    assert "conv2d(" in done.stdout
    assert "linear(" not in done.stdout


def test_what_cannot_be_done_is_said_in_a_line(mctc: Run, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    usage, failed = ExitCode.USAGE, ExitCode.FAILED
    cases = (
        (("--print-after", "linear-to-con"), usage, "there is no pass `linear-to-con`", "linear-to-conv"),
        (("--without", "nothing"), usage, "there is no pass `nothing`", ""),
        (("--target", "anne"), usage, "there is no target `anne`", "ane"),
        (("--chunk", "soon"), usage, "'soon' is no length of a chunk", "320ms"),
        (("--chunk", "7ms"), failed, "not a whole number", "20 ms"),
        (("-o", tmp_path / "mine"), failed, "was not written by mctc", "--force"),
        (("--weights", tmp_path / "none.safetensors"), failed, "cannot read", ""),
    )
    for arguments, code, message, hint in cases:
        done = mctc("build", spec, *arguments)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert message in done.stderr
        assert hint in done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "mine" / "notes").read_text() == "keep"


def test_a_build_for_torch_writes_modules_alone(mctc: Run, spec: Path, tmp_path: Path) -> None:
    done = mctc("build", spec, "--target", "torch", "-o", "modules")
    assert done.returncode == ExitCode.OK, done.stderr
    assert "read back" not in done.stdout
    beside = mctc("build", spec, "-o", "package")
    assert beside.returncode == ExitCode.OK, beside.stderr
    written = {path.name: path.read_bytes() for path in (tmp_path / "modules" / "training").iterdir()}
    assert {"small.py", "layers.py", "device.py", "losses.py"} <= set(written)
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "package" / "training").iterdir()}
    assert not list((tmp_path / "modules").glob("*.mlpackage"))


def test_a_build_that_nothing_executes_says_so(mctc: Run, spec: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "silent.py"
    plugin.write_text(
        "from mctc.targets.torch.target import TorchTarget\n\n\n"
        "class Silent(TorchTarget):\n    name = 'silent'\n    runtime = None\n    cross_checks = False\n\n\n"
        "MCTC_PLUGINS = {'targets': [Silent]}\n"
    )
    assert mctc("build", spec, "--target", "silent", "-o", "modules", "--plugin", plugin).returncode == ExitCode.OK
    done = mctc("run", "modules", "--speech", "--plugin", plugin)
    assert done.returncode == ExitCode.FAILED
    assert "holds nothing that runs" in done.stderr
    assert "--target ane" in done.stderr


def test_what_a_target_does_not_offer_is_refused(mctc: Run, spec: Path, tmp_path: Path) -> None:
    done = mctc("build", spec, "--precision", "fp32", "-o", "out")
    assert done.returncode == ExitCode.USAGE
    assert "target ane has no precision 'fp32'" in done.stderr
    assert "there is only fp16" in done.stderr
    assert not (tmp_path / "out").exists()


OFFLINE = """
model offline {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] { return x + reverse(linear(x, 8), T) }
    stream { chunk = 80 ms }
}
"""


def test_a_model_that_cannot_be_streamed_can_be_trained(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "offline.mct").write_text(OFFLINE)
    done = mctc("build", "offline.mct", "--target", "torch", "-o", "modules")
    assert done.returncode == ExitCode.OK, done.stderr
    text = (tmp_path / "modules" / "training" / "offline.py").read_text()
    assert "def forward(self, x: Tensor, lengths: Tensor | None = None)" in text
    assert "def step(" not in text
    assert mctc("build", "offline.mct", "-o", "package").returncode == ExitCode.FAILED


def test_a_component_without_a_step_is_built_over_whole_utterances_where_a_target_has_such_functions(
    tmp_path: Path, mctc: Run
) -> None:
    spec = tmp_path / "offline.mct"
    spec.write_text(OFFLINE)
    done = mctc("build", spec, "--target", "onnx", "-o", "models")
    assert done.returncode == ExitCode.OK, done.stderr
    manifest = read_manifest(tmp_path / "models")
    assert manifest["functions"] == {}
    assert manifest["whole"]["encoder"]["inputs"][0]["shape"] == ["B", 8, 1, "T"]
    assert (tmp_path / "models" / manifest["whole"]["encoder"]["package"]).is_file()
    assert "needs the whole utterance" in " ".join(entry["why"] for entry in manifest["explanations"])
    done = mctc("build", spec, "-o", "package")
    assert done.returncode == ExitCode.FAILED
    assert "encoder cannot be streamed" in done.stderr
