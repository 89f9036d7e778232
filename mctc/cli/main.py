"""Entry point of the `mctc` command: the one place where errors become messages and exit codes.

0: done. 1: the input is at fault, or a proof failed. 2: the command line is at fault, or mctc itself.
130 and 141: interrupted, or the reader of the output went away, as a shell reports it for any program.
MCTC_TRACEBACK=1 shows the traceback of any error. NO_COLOR (or an output that is no terminal) means no colours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from mctc.cli.columns import fitted
from mctc.cli.commands import group
from mctc.cli.later import numpy_later
from mctc.cli.process import ends_at_once, keep_memory, one_blas_thread, open_streams
from mctc.cli.terminal import color_wanted
from mctc.diagnostics.errors import ExitCode, MctcError, UsageError

INTERRUPTED = 130
PIPE_CLOSED = 141
COMPLETE = "_MCTC_COMPLETE"


def main() -> None:
    """Runs the command line of this process and exits."""
    codes = ends_at_once()
    open_streams()
    one_blas_thread()
    numpy_later(keep_memory)
    asked = os.environ.get(COMPLETE)
    code = complete(asked) if asked else run(sys.argv[1:])
    if not _strangers():  # what they left open is written where a process ends as any does
        codes.append(code)
    sys.exit(code)


def _strangers() -> bool:
    """Whether code of plugins has run."""
    plugins = sys.modules.get("mctc.plugins")
    return plugins is not None and bool(plugins.strangers())


def complete(asked: str) -> int:
    """Answers a shell: its script ("bash_source"), or what may come next ("bash_complete"); returns the exit code."""
    from click.shell_completion import shell_complete

    return shell_complete(group(), {}, "mctc", COMPLETE, asked)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns the exit code."""
    traceback = bool(os.environ.get("MCTC_TRACEBACK"))
    try:
        with group().make_context("mctc", list(arguments) or ["--help"]) as context:
            result = context.command.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code if arguments else ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return _abandon_output()
    except click.ClickException as error:
        return _report(_of_command_line(error))
    except (Exception, SystemExit) as error:  # SystemExit: of a plugin, since none of mctc's own code exits
        if traceback:
            raise
        return _report(error)
    return int(result) if isinstance(result, int) else ExitCode.OK


def _of_command_line(error: click.ClickException) -> UsageError:
    """What click says of a command line, in mctc's form."""
    message = error.format_message().removesuffix(".")
    context: click.Context | None = getattr(error, "ctx", None)
    said = f"{message[:1].lower()}{message[1:]}"
    return UsageError(said, hint=None if context is None else f"`{context.command_path} --help` says what it takes")


def _report(error: BaseException) -> int:
    if isinstance(error, MctcError):
        _say(error.render(color=color_wanted(sys.stderr)))
        return error.exit_code
    if isinstance(error, MemoryError):
        _say("error: out of memory")
        return ExitCode.FAILED
    if isinstance(error, OSError):
        place = error.filename or ("standard output" if _output_fails() else _lost_folder())
        _say(f"error: {place}{': ' * bool(place)}{(error.strerror or str(error)).lower()}")
        return ExitCode.FAILED
    if origin := _plugin_at_fault(error):
        _say(
            f"error: the plugin {origin} fails: {_place(error)}{type(error).__name__}: {error}\n"
            "  hint: mend it, or do without; MCTC_TRACEBACK=1 shows where it fails"
        )
        return ExitCode.FAILED
    _say(
        f"internal error: {_place(error)}{type(error).__name__}: {error}\n"
        "  This is a fault of mctc or of a plugin, not of your input. Please report it with the spec, the command\n"
        "  and what MCTC_TRACEBACK=1 prints in front of the same command."
    )
    return ExitCode.USAGE


def _plugin_at_fault(error: BaseException) -> str | None:
    from mctc.plugins import registry

    try:
        return registry().at_fault(error)
    except MctcError:
        return None


def _place(error: BaseException) -> str:
    """'passes/pad.py:12: ' of the innermost frame."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return f"{'/'.join(Path(step.tb_frame.f_code.co_filename).parts[-2:])}:{step.tb_lineno}: " if step else ""


def _lost_folder() -> str:
    """'the current folder' where it was removed under the process's feet."""
    try:
        Path.cwd()
    except OSError:
        return "the current folder"
    return ""


def _output_fails() -> bool:
    """Whether standard output can't be written; what it still held is dropped then."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_output()
        return True
    return False


def _say(text: str) -> None:
    """Prints to standard error, after what standard output holds; goes without where either can't be written."""
    _output_fails()
    with suppress(OSError):
        print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


def _abandon_output() -> int:
    """Points the closed output at nothing, so that the flush at interpreter exit has nothing to complain about."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    return PIPE_CLOSED
