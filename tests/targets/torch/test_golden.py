"""The emitted text, as people review it. MCTC_UPDATE_GOLDEN=1 writes the files anew."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mctc.driver.compile import compile_program
from mctc.driver.options import BuildOptions
from mctc.language import elaborate_file
from mctc.targets.torch.module import write_module
from mctc.targets.torch.support import RUNTIME, support_files
from mctc.targets.torch.target import TorchTarget

GOLDEN = Path(__file__).with_name("golden")
SPECS = {
    "mct_small": "spec/mct_small.mct",
    "probe": "tests/targets/torch/probe.mct",
    "conformer": "examples/conformer/conformer.mct",
}
RULES = "A,B,C4,E,F,I,PIE,PERF,RET,RUF,SIM,UP,W"


@pytest.mark.parametrize("name", SPECS)
def test_the_text_of_a_module_is_what_was_reviewed(name: str, root: Path) -> None:
    spec = root / SPECS[name]
    compiled = compile_program(
        elaborate_file(spec), BuildOptions(target="torch"), requirements=TorchTarget.requirements
    )
    text = write_module(compiled.training, compiled.derived.functions, spec.name).text
    golden = GOLDEN / f"{name}.py"
    if os.environ.get("MCTC_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def ruff(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--line-length", "120"]
    return subprocess.run(command, capture_output=True, text=True)


def test_emitted_modules_are_clean_and_formatted() -> None:
    pytest.importorskip("ruff", reason="ruff comes with the dev extra")
    checked = ruff("check", str(GOLDEN), "--select", RULES, "--target-version", "py310")
    assert checked.returncode == 0, checked.stdout
    formatted = ruff("format", "--check", str(GOLDEN))
    assert formatted.returncode == 0, formatted.stdout


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports; the modules beside it are '.'."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." if node.level else str(node.module).partition(".")[0])
    return names


@pytest.mark.parametrize("path", [*sorted(RUNTIME.glob("*.py")), *sorted(GOLDEN.glob("*.py"))], ids=lambda p: p.name)
def test_what_is_emitted_needs_torch_alone(path: Path) -> None:
    triton = {"triton"} if path.stem.endswith("_triton") else set()  # of torch's builds for CUDA
    assert imported(path) <= {"torch", ".", "__future__", *sys.stdlib_module_names, *triton}


@pytest.mark.parametrize("path", sorted(RUNTIME.glob("*.py")), ids=lambda p: p.name)
def test_kernels_in_triton_are_imported_only_when_they_are_launched(path: Path) -> None:
    top = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    names = {name for node in top if node.level for name in (node.module, *(each.name for each in node.names)) if name}
    assert not any(name.endswith("_triton") for name in names)


def test_every_module_comes_with_what_it_imports() -> None:
    names = {path.name for path in support_files(["selective_scan", "rnnt_loss", "layers"])}
    assert {"selective_scan.metal", "selective_scan.cpp", "rnnt_loss.metal", "metal.py", "metal_cuda.h"} <= names
    assert names <= {path.name for path in RUNTIME.iterdir()}
    assert "selective_scan.py" not in {path.name for path in support_files(["layers"])}


def test_no_import_between_the_modules_is_overlooked() -> None:
    for path in RUNTIME.glob("*.py"):
        nodes = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom) and node.level
        ]
        names = {name for node in nodes for name in ([node.module] if node.module else [a.name for a in node.names])}
        assert names <= {each.stem for each in support_files([path.stem])}, path.name
