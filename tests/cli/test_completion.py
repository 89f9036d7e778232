"""What shells are told to complete, by the scripts that docs/cli.md names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mctc.cli import main

SHELLS = ("bash", "zsh", "fish")


def completed(shell: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the shell hears when the user has typed `line`."""
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
    assert main.complete(f"{shell}_complete") == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mctc che", ["check"]),
        ("mctc build --stat", ["--state"]),
        ("mctc build --state ", ["packed", "separate", "io"]),
        ("mctc build --target o", ["onnx"]),
        ("mctc show --after fold-b", ["fold-batch-norm"]),
        ("mctc build spec", ["file"]),
    ],
)
def test_a_shell_is_offered_what_can_come_next(
    shell: str, line: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = completed(shell, line, monkeypatch, capsys)
    assert all(each in told for each in offered)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_a_script_that_the_page_names(
    shell: str, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    assert main.complete(f"{shell}_source") == 0
    assert f"{main.COMPLETE}={shell}_complete" in capsys.readouterr().out
    assert f"_MCTC_COMPLETE={shell}_source mctc" in (root / "docs/cli.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    (tmp_path / "mctc").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mctc "$@"\n')
    (tmp_path / "mctc").chmod(0o755)
    script = """
        eval "$(_MCTC_COMPLETE=bash_source mctc)"
        COMP_WORDS=(mctc build --targ); COMP_CWORD=2
        _mctc_completion mctc; echo "${COMPREPLY[@]}"
    """
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=env, text=True, capture_output=True, timeout=60)
    assert done.stdout.split() == ["--target"], done.stderr
