"""`mctc lint`: exit codes, formats, and what it says when it can't."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
BAD = "import torch\nx.cuda()\ntorch.cuda.empty_cache()\n"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(BAD)
    return tmp_path / "train.py"


def test_findings_are_shown_with_their_place_and_exit_with_1(mctc: Run, bad: Path) -> None:
    done = mctc("lint", "--mps", "train.py")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "error[MPS001]: `.cuda()` fails on a Mac\n --> train.py:2:3\n" in done.stdout
    assert done.stdout.endswith("1 error and 1 warning in 1 file; `mctc explain MPS001` says more\n")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_clean_file_exits_with_0(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import torch\n")
    done = mctc("lint", "--mps", ".")
    assert (done.returncode, done.stdout) == (0, "1 file checked, nothing found\n")


@pytest.mark.parametrize("name", ["none.py", "syntax.py"])
def test_a_file_that_cannot_be_checked_exits_with_2_and_hides_no_other(mctc: Run, bad: Path, name: str) -> None:
    (bad.parent / "syntax.py").write_text("def f(:\n")
    done = mctc("lint", "--mps", name, "train.py")
    assert done.returncode == 2
    assert "error[MPS000]" in done.stdout
    assert "error[MPS001]" in done.stdout


def test_rules_are_chosen_and_left_out(mctc: Run, bad: Path) -> None:
    assert "MPS004" not in mctc("lint", "--mps", "--select", "MPS001", bad).stdout
    assert mctc("lint", "--mps", "--ignore", "MPS00", bad).returncode == 0


def test_statistics_are_a_line_per_rule(mctc: Run, bad: Path) -> None:
    done = mctc("lint", "--mps", "--statistics", bad)
    assert done.returncode == 1
    assert re.findall(r"^ *(\d+)  (MPS\d{3})  \S", done.stdout, re.M) == [("1", "MPS001"), ("1", "MPS004")]


def test_json_is_for_tools(mctc: Run, bad: Path, tmp_path: Path) -> None:
    records = json.loads(mctc("lint", "--mps", "--format", "json", "train.py").stdout)
    assert [(each["code"], each["severity"], each["file"], each["line"], each["column"]) for each in records] == [
        ("MPS001", "error", "train.py", 2, 3),
        ("MPS004", "warning", "train.py", 3, 1),
    ]
    (tmp_path / "clean.py").touch()
    clean = mctc("lint", "--mps", "--format", "json", "clean.py")
    assert (clean.returncode, json.loads(clean.stdout)) == (0, [])


def test_github_gets_an_annotation_per_finding(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "50%,a.py").write_text("x.cuda()\n")
    (tmp_path / "clean.py").touch()
    done = mctc("lint", "--mps", "--format", "github", "50%,a.py", "none.py")
    first, second = done.stdout.splitlines()
    assert first.startswith(
        "::error title=MPS001,file=50%25%2Ca.py,line=1,col=3,endLine=1,endColumn=9::`.cuda()` fails"
    )
    assert second.startswith("::error title=MPS000,file=none.py::the file can't be read")
    assert mctc("lint", "--mps", "--format", "github", "clean.py").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train.py",), "mctc lint --mps train.py"),
        (("--mps", "empty"), "no .py file"),
        (("--mps", "--select", "MPS5", "train.py"), "no rule begins with `MPS5`"),
        (("--mps", "--statistics", "--format", "json", "train.py"), "--statistics has no form"),
        (("--mps",), "there is nothing to check"),
    ],
)
def test_a_command_line_at_fault_exits_with_2_and_a_way_out(
    mctc: Run, bad: Path, arguments: tuple[str, ...], said: str
) -> None:
    (bad.parent / "empty").mkdir()
    done = mctc("lint", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_checking_needs_neither_torch_nor_numpy(imported_by: Callable[..., set[str]], tmp_path: Path) -> None:
    (tmp_path / "clean.py").write_text("import torch\n")
    heavy = {"torch", "numpy", "lark", "scipy", "coremltools", "networkx", "rich"}
    assert not heavy & imported_by("lint", "--mps", tmp_path / "clean.py")


def test_a_checked_file_is_never_run(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("open('run.txt', 'w')\n")
    assert mctc("lint", "--mps", "train.py").returncode == 0
    assert not (tmp_path / "run.txt").exists()
