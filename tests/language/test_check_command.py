"""`mctc check` and `mctc explain` as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from .conftest import component

Run = Callable[..., CompletedProcess[str]]


def test_check_prints_where_what_and_the_way_out(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mct").write_text(component("y = linaer(x, 8)", "return y"))
    done = mctc("check", "a.mct")
    assert done.returncode == 1
    assert "error[MCT0051]" in done.stderr
    assert "a.mct:5:5" in done.stderr
    assert "did you mean `linear`?" in done.stderr


def test_check_refuses_what_cannot_be_streamed(mctc: Run, tmp_path: Path) -> None:
    text = component("return x + reverse(x, T)").rstrip("}\n") + "}\nstream { chunk = 320 ms }\n}\n"
    (tmp_path / "a.mct").write_text(text)
    done = mctc("check", "--format", "json", "a.mct")
    (found,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["code"], found["line"], found["column"]) == ("MCT0201", 5, 12)


def test_check_takes_overrides(mctc: Run, tmp_path: Path) -> None:
    (tmp_path / "a.mct").write_text(component("assert n < 5", "return x", values="n = 3"))
    assert mctc("check", "a.mct").returncode == 0
    assert "MCT0073" in mctc("check", "-D", "n=7", "a.mct").stderr
    assert "did you mean `n`?" in mctc("check", "-D", "N=7", "a.mct").stderr


@pytest.mark.parametrize("text", ["model", "model x", "x", "import", "block", "model x = ", "model a { }\nmodel b"])
def test_a_file_that_ends_within_a_statement_is_refused(text: str) -> None:
    from mctc.diagnostics.source import SourceFile
    from mctc.language.parser import parse_all

    (problem,) = parse_all(SourceFile("a.mct", text)).problems
    assert problem.code == "MCT0020"
    assert problem.message.endswith("found the end of the file")


def test_explain_prints_and_lists(mctc: Run) -> None:
    assert mctc("explain", "mct0051").stdout.startswith("MCT0051: an unknown block or op\n")
    assert len(mctc("explain").stdout.splitlines()) > 40
    refused = mctc("explain", "MCT9999")
    assert refused.returncode == 2
    assert "no code `MCT9999`" in refused.stderr
