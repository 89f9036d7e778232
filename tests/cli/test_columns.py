"""Errors, hints and what a build says of itself fit the terminal; a pipe gets them as they are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mctc.cli.columns import COLOUR, in_columns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


def on_a_terminal(columns: int, folder: Path, *arguments: str) -> list[str]:
    """The lines that a command prints on a terminal of so many columns, without colours."""
    import fcntl
    import pty
    import struct
    import subprocess
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-m", "mctc", *arguments]
    environment = {**os.environ, "TERM": "xterm", "CI": "1"}
    with subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # what Linux says at the end
                break
            if not more:
                break
            text += more
        process.wait(60)
    os.close(ours)
    return COLOUR.sub("", text.decode()).replace("\r", "").splitlines()


def test_errors_fit_a_terminal(tmp_path: Path) -> None:
    spec = "model s { component c(x: f32[4]) -> f32[4] { return lineer(x) } }"
    (tmp_path / "s.mct").write_text(spec, encoding="utf-8")
    for command in (["build", "s.mct", "--chunk", "a"], ["build", "s.mct", "--target", "x"], ["build", "s.mct"]):
        for columns in (80, 60):
            lines = on_a_terminal(columns, tmp_path, *command)
            assert lines
            assert max(map(len, lines)) <= columns or any("|" in line for line in lines if len(line) > columns), lines


def test_lines_of_a_source_stay_whole() -> None:
    text = f"error[MCT0051]: {'word ' * 20}\n --> a.mct:1:2\n  |\n1 | {'x ' * 60}\n  | ^^^"
    first, second, *rest = in_columns(text, 80).split("\n")
    assert len(first) <= 80
    assert second.startswith("    word")
    assert "\n".join(rest) == text.split("\n", 1)[1]


def test_colours_take_no_room_and_names_stay_whole() -> None:
    assert in_columns(f"\x1b[1;31merror:\x1b[0m {'a' * 73}", 80) == f"\x1b[1;31merror:\x1b[0m {'a' * 73}"
    path = "/" + "a" * 100
    assert in_columns(f"  hint: read {path} again", 40) == f"  hint: read\n      {path}\n      again"


def test_a_pipe_gets_lines_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    from mctc.cli.columns import tell

    tell("word " * 60 + "end")
    assert capfd.readouterr().err == "word " * 60 + "end\n"
