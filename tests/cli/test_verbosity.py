"""-q, -v and -V, in front of a command and behind it; and the line that says where a long command is."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from mctc.cli import progress as progress_module
from mctc.cli.progress import progress
from mctc.version import __version__

from .conftest import SPEC, Command


@pytest.mark.parametrize("where", ["{0} {1}", "{1} {0}"])
@pytest.mark.parametrize("line", ["check tiny.mct", "build tiny.mct --target torch", "fmt loose.mct"])
def test_quiet_says_nothing_when_all_is_well(where: str, line: str, place: Path, command: Command) -> None:
    (place / "loose.mct").write_text(SPEC.replace("    ", " "))
    done = command(*where.format("-q", line).split())
    assert (done.code, done.out, done.err) == (0, "", "")


def test_quiet_tells_no_warning(place: Path, command: Command) -> None:
    unused = SPEC.replace("model tiny", "block spare(x: f32[..., C]) { return unread(x) }\n\nmodel tiny")
    (place / "spare.mct").write_text(
        unused.replace("unread(x)", "relu(x)").replace("width = 8", "width = 8, unread = 1")
    )
    warned = command("check", "spare.mct")
    assert (warned.code, "warning" in warned.err) == (0, True)
    quiet = command("check", "-q", "spare.mct")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_quiet_proof_says_what_fails_alone(built: Path, tmp_path: Path, command: Command) -> None:
    import shutil

    assert command("verify", built, "--no-runtimes", "-q").out == ""
    damaged = shutil.copytree(built, tmp_path / "damaged")
    (damaged / "whole.mir").write_text((built / "whole.mir").read_text() + "\n")
    done = command("-q", "verify", damaged, "--no-runtimes")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"files of build: .*whole\.mir.* FAILED\n", done.err)


def test_quiet_keeps_what_was_asked_for(place: Path, command: Command) -> None:
    for line in ("show tiny.mct", "explain MCT0001", "compare tiny.mct", "passes"):
        assert command("-q", *line.split()).out == command(*line.split()).out != ""


def test_verbose_tells_each_step_to_standard_error(place: Path, command: Command) -> None:
    done = command("build", "-v", "tiny.mct", "--target", "torch")
    steps = [re.sub(r"^ +[\d.]+ s  ", "", line) for line in done.err.splitlines()]
    assert steps[:2] == ["reading tiny.mct", "compiling"]
    assert "dead-code: 4 ops" in steps
    assert steps[-3:] == ["reading back and evaluating", "writing for other targets: none", "asking mctc lint"] or (
        "reading back and evaluating" in steps
    )
    assert done.out == command("build", "tiny.mct", "--target", "torch").out


def test_verbose_tells_each_rung(built: Path, command: Command) -> None:
    done = command("verify", "-v", built, "--no-runtimes")
    assert re.search(r"^ +[\d.]+ s  package evaluator, fp32 of encoder: \S+ ok$", done.err, re.MULTILINE)


@pytest.mark.parametrize("line", ["-V", "--version", "build -V", "check --version"])
def test_the_version_is_printed(line: str, command: Command) -> None:
    assert command(*line.split()).out == f"mctc {__version__}\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch, patience: float = 0.0) -> Terminal:
    """Standard error as a terminal from here on."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress_module, "PATIENCE_S", patience)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return screen


def _work(doing: str) -> None:
    with progress(doing) as step:
        step("[pass] a")
        timer = step.__self__._timer  # type: ignore[attr-defined]
        timer.join()
        step("pass b")


def test_a_long_command_says_where_it_is_in_one_line_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    _work("building m.mct")
    shown = terminal.getvalue()
    assert "building m.mct: pass b" in shown
    assert shown.endswith("\x1b[2K")
    assert shown.count("\n") <= 1


@pytest.mark.parametrize(("name", "value"), [("CI", "1"), ("TERM", "dumb")])
def test_logs_and_dumb_terminals_get_no_moving_line(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    with progress("building m.mct") as step:
        step("a")
        assert not hasattr(step, "__self__")  # of a line
    assert terminal.getvalue() == ""


def test_a_short_command_shows_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch, patience=60.0)
    with progress("building m.mct") as step:
        step("a")
    assert terminal.getvalue() == ""


def test_a_pipe_gets_no_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "PATIENCE_S", 0.0)
    with progress("building m.mct") as step:
        step("a")
        assert not hasattr(step, "__self__")  # of a line
    assert capsys.readouterr().err == ""
