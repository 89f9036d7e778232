"""The example of an op: every target writes it by the form that it brings, and every runtime agrees."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SPEC, PLUGIN = "examples/custom_op/periodic.mct", "examples/custom_op/snake.py"
NEEDS = {"torch": "torch", "onnx": "onnxruntime", "ane": "numpy", "coreai": "coreai"}


@pytest.mark.parametrize("target", ["onnx", *(pytest.param(t, marks=pytest.mark.slow) for t in NEEDS if t != "onnx")])
def test_a_build_for_every_target_is_proven(mctc: Run, root: Path, target: str) -> None:
    pytest.importorskip(NEEDS[target])
    built = mctc("build", root / SPEC, "--plugin", root / PLUGIN, "--target", target, "-o", target)
    assert built.returncode == 0, built.stderr
    proven = mctc("verify", target, "--plugin", root / PLUGIN, "--no-runtimes", "--json")
    assert proven.returncode == 0, proven.stdout + proven.stderr
    assert any(check["seconds"] is not None for check in json.loads(proven.stdout))


def without(root: Path, folder: Path, *forms: str) -> Path:
    """The plugin without some of its forms."""
    text = (root / PLUGIN).read_text(encoding="utf-8")
    for form in forms:
        text = text.replace(f'"{form}": {form}_form, ', "").replace(f', "{form}": {form}_form', "")
    (folder / "less.py").write_text(text)
    return folder / "less.py"


def test_an_op_without_a_form_is_an_error_that_names_it_and_its_line(mctc: Run, root: Path, tmp_path: Path) -> None:
    plugin = without(root, tmp_path, "onnx")
    done = mctc("build", root / SPEC, "--plugin", plugin, "--target", "onnx")
    assert done.returncode == 1
    assert "snake" in done.stderr
    assert "periodic.mct:7:" in done.stderr
    assert "has no onnx form" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('graph.node("Mul", sine, sine)', "sine"), "of its largest value"),
        (
            ('    return str(graph.node("Add"', '    str(graph.node("Add"'),
            "returns None, which no rule of onnx returns",
        ),
        (("    sine = graph.node", "    graph.nothing\n    sine = graph.node"), "fails: AttributeError"),
        pytest.param(
            ("    sine = graph.node", "    raise SystemExit(0)\n    sine = graph.node"),
            "fails: SystemExit: 0",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_form_that_is_wrong_fails_the_build(
    mctc: Run, root: Path, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    pytest.importorskip("onnxruntime")
    text = (root / PLUGIN).read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "wrong.py").write_text(text.replace(*change))
    done = mctc("build", root / SPEC, "--plugin", "wrong.py", "--target", "onnx")
    assert done.returncode == 1
    assert said in done.stderr
    assert "internal error" not in done.stderr
    assert not (tmp_path / "build").exists() or not any((tmp_path / "build").iterdir())


@pytest.mark.slow
def test_a_runtime_without_the_form_is_not_asked(mctc: Run, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    plugin = without(root, tmp_path, "torch")
    assert mctc("build", root / SPEC, "--plugin", plugin, "--target", "onnx", "-o", "out").returncode == 0
    done = mctc("verify", "out", "--plugin", plugin, "--runtime", "torch", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (check,) = [check for check in json.loads(done.stdout) if "has no torch form" in check["measured"]]
    assert check["ok"] is None
