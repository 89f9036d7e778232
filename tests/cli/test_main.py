"""The frame of the command: help without cost, errors as messages and exit codes, never a traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from mctc.cli import main
from mctc.cli.commands import COMMANDS, group
from mctc.cli.options import parse_definition
from mctc.diagnostics.errors import ExitCode, MctcError

pytestmark = pytest.mark.process

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HEAVY = {"numpy", "scipy", "torch", "coremltools", "lark", "networkx", "rich", "soundfile"}


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit code when a command raises `error`."""

    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr("mctc.cli.commands.LazyGroup.get_command", lambda *_: broken)
    return main.run(["check"])


def test_help_lists_every_command_and_imports_nothing_of_weight(
    imported_by: Callable[..., set[str]], mctc: Run
) -> None:
    assert not HEAVY & imported_by("--help")
    text = mctc("--help").stdout
    for name, entry in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.summary)}$", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str) -> None:
    context = click.Context(group(), info_name="mctc")
    command = group().get_command(context, name)
    assert isinstance(command, click.Command)
    assert command.help
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, f"{name} {option.name} has no help"


def test_the_help_of_a_command_imports_nothing_of_weight(imported_by: Callable[..., set[str]]) -> None:
    for name in COMMANDS:
        assert not HEAVY & imported_by(name, "--help"), name


def test_an_unknown_command_suggests_the_near_one(mctc: Run) -> None:
    done = mctc("chek", "a.mct")
    assert done.returncode == ExitCode.USAGE
    assert "there is no command `chek`; did you mean `check`?" in done.stderr


def test_errors_raised_on_purpose_are_messages_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = fail_with(monkeypatch, MctcError("a.mct: no such file", hint="look in spec/"))
    assert (code, capsys.readouterr().err) == (1, "error: a.mct: no such file\n  hint: look in spec/\n")


def test_an_unexpected_error_says_where_and_that_it_is_no_fault_of_the_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    text = capsys.readouterr().err
    assert code == ExitCode.USAGE
    assert re.search(r"internal error: cli/test_main\.py:\d+: ZeroDivisionError: division by zero", text)
    assert "Traceback" not in text


def test_a_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCTC_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        fail_with(monkeypatch, ZeroDivisionError())


def test_a_file_that_may_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(monkeypatch, PermissionError(13, "Permission denied", "a.mct")) == ExitCode.FAILED
    assert capsys.readouterr().err == "error: a.mct: permission denied\n"


def test_a_current_folder_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main.run(["build", str(tmp_path / "a.mct")]) == ExitCode.FAILED
    assert main.run(["check", "a.mct"]) == ExitCode.FAILED
    assert fail_with(monkeypatch, FileNotFoundError(2, "No such file or directory")) == ExitCode.FAILED
    assert "error: the current folder: no such file or directory\n" in capsys.readouterr().err
    os.chdir(tmp_path)


def test_an_interrupt_ends_quietly_with_the_code_of_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    # The reading end is closed before the command starts, so the first write finds nobody.
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mctc", "explain"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_colours_only_for_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert main.color_wanted(Terminal())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not main.color_wanted(Terminal())  # type: ignore[arg-type]
    assert "\x1b[" in MctcError("x").render(color=True)
    assert "\x1b[" not in MctcError("x").render()


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("width=320", ("width", 320)),
        ("rate=0.5", ("rate", 0.5)),
        ("tied=true", ("tied", True)),
        ("name = a=b", ("name", "a=b")),
        ("big=" + "9" * 5000, ("big", "9" * 5000)),
    ],
)
def test_definitions_are_values_where_they_look_like_one(text: str, parsed: tuple[str, object]) -> None:
    assert parse_definition(text) == parsed


@pytest.mark.parametrize("text", ["width", "=3", "a b=3", ""])
def test_a_definition_without_name_or_value_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        parse_definition(text)
