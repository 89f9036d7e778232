"""The example of a target: built from one file, executed without mctc, held to its program, heard at a build's end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.process
Run = Callable[..., "subprocess.CompletedProcess[str]"]
PLUGIN = "examples/custom_target/numpy_target.py"
LINES = 150

SPEC = """
model small(mels = 80, width = 8, vocab = 6) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = vocab

    component encoder(mel: f32[B, T, mels]) -> f32[B, T/2, V] {
        x = conv1d(mel, width, 3, stride = 2, look_ahead = 1) as conv
        x = x + silu(layer_norm(x) as norm)
        return log_softmax(linear(x, V) as head)
    }
    stream { chunk = 80 ms }
}
"""
STANDALONE = """
import runpy, sys
import numpy as np
encoder = runpy.run_path("out/small.py")["encoder"]
results = encoder({name: np.ones(shape, np.float32) for name, shape in SHAPES.items()})
print(max(float(np.exp(array).sum(1).max()) for name, array in results.items() if not name.endswith("_out")))
assert not any(name.split(".")[0] == "mctc" for name in sys.modules)
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "small.mct").write_text(SPEC)
    return tmp_path / "small.mct"


def test_the_target_is_small(root: Path) -> None:
    files = (root / PLUGIN).parent.glob("*.py")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= LINES


def test_what_it_writes_is_proven_heard_of_and_runs_without_mctc(mctc: Run, root: Path, spec: Path) -> None:
    built = mctc("build", spec, "--plugin", root / PLUGIN, "--target", "numpy", "-o", "out")
    assert built.returncode == 0, built.stderr
    assert "\n  arrays in small.npz: " in built.stdout
    manifest = json.loads((spec.parent / "out/manifest.json").read_text())
    assert max(entry["error"] for entry in manifest["verification"]) < 1e-5
    shapes = {port["name"]: port["shape"] for port in manifest["functions"]["encoder"]["inputs"]}
    command = [sys.executable, "-c", STANDALONE.replace("SHAPES", str(shapes))]
    done = subprocess.run(command, cwd=spec.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(1.0, abs=1e-3)  # of a log-softmax


@pytest.mark.slow
def test_it_is_verified_and_run_as_any_other(mctc: Run, root: Path, spec: Path) -> None:
    assert mctc("build", spec, "--plugin", root / PLUGIN, "--target", "numpy", "-o", "out").returncode == 0
    proven = mctc("verify", "out", "--plugin", root / PLUGIN, "--no-runtimes", "--json")
    assert proven.returncode == 0, proven.stdout + proven.stderr
    refused = mctc("run", "out", "--plugin", root / PLUGIN, "--arithmetic", "fp16", "--speech")
    assert refused.returncode != 0
    assert "fp16" in refused.stderr


def test_an_op_without_a_rule_is_an_error_that_names_it_and_its_line(mctc: Run, root: Path, spec: Path) -> None:
    spec.write_text(SPEC.replace("silu", "gelu"))
    done = mctc("build", spec, "--plugin", root / PLUGIN, "--target", "numpy", "-o", "out")
    assert done.returncode == 1
    assert "gelu of encoder (small.mct:9:" in done.stderr
    assert "has no numpy form" in done.stderr
    assert not (spec.parent / "out").exists()


def test_a_wrong_rule_does_not_pass(mctc: Run, root: Path, spec: Path) -> None:
    text, right = (root / PLUGIN).read_text(), '"silu": "{0} * (1 + np.tanh({0} / 2)) / 2"'
    assert text.count(right) == 1
    (spec.parent / "wrong.py").write_text(text.replace(right, '"silu": "{0} * (1 + np.tanh({0})) / 2"'))
    done = mctc("build", spec, "--plugin", "wrong.py", "--target", "numpy", "-o", "out")
    assert done.returncode == 1
    assert "differs from the program" in done.stderr
    assert not (spec.parent / "out").exists()
