"""What a command says of a function is said by its component's name, though Core ML calls a function alone `main`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from .conftest import Command

MAIN = re.compile(r"\bmain\b")


@pytest.mark.parametrize(
    "line",
    [
        "lint {0}",
        "lint {0} --all",
        "lint {0} --format json",
        "lint {0} --format html",
        "lint {0} --format markdown",
        "lint {0} --format sarif",
        "verify -v {0} --no-runtimes",
        "why encoder --build {0}",
    ],
)
def test_a_component_goes_by_its_name(line: str, built: Path, command: Command) -> None:
    done = command(*line.format(built).split())
    assert done.code == 0
    assert "encoder" in done.out
    said = re.sub(r"<script.*?</script>|<style.*?</style>|</?main\b[^>]*>", "", done.out, flags=re.DOTALL)
    assert not MAIN.search(said)


def test_a_build_says_where_the_component_runs(place: Path, command: Command) -> None:
    done = command("build", "tiny.mct")
    assert "    encoder on the CPU\n" in done.out
    assert not MAIN.search(done.out)
    (package,) = json.loads((place / "build/tiny/placement.json").read_text())["packages"]
    assert [function["name"] for function in package["functions"]] == ["encoder"]
    assert {finding["function"] for finding in package["findings"]} <= {"encoder", None}


def test_a_function_is_run_by_its_component_s_name(built: Path, place: Path, command: Command) -> None:
    np.save("x.npy", np.zeros((1, 80, 1, 4), np.float32))
    for name in ("encoder", "main"):
        done = command("run", built / "tiny.mlpackage", "--function", name, "--input", "x.npy")
        assert done.code == 0, done.err
    np.save("short.npy", np.zeros((1, 80, 1, 2), np.float32))
    wrong = command("run", built / "tiny.mlpackage", "--input", "short.npy")
    assert wrong.code == 1
    assert "function 'encoder'" in wrong.err
    assert not MAIN.search(wrong.err)


def test_a_finding_points_into_the_copy_of_the_spec(built: Path, place: Path, command: Command) -> None:
    said = command("lint", built, "--format", "github").out
    files = {Path(file) for file in re.findall(r"file=([^,]*\.mct),line=", said)}
    assert files
    assert all(file.is_file() and file.name == "tiny.mct" for file in files)
