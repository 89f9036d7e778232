"""The base class of every error that mctc raises on purpose."""

from __future__ import annotations

from enum import IntEnum

from mctc.diagnostics.clean import clean


class ExitCode(IntEnum):
    """What the process returns to its shell."""

    OK = 0
    FAILED = 1
    """The input is at fault, or a proof failed."""
    USAGE = 2
    """The command line is at fault, or mctc itself."""


class MctcError(Exception):
    """Something is wrong that the reader of the message can mend.

    `message` names the place and what is wrong there, `hint` the way out. Subclasses may override `render` when they
    have more to show than one message, a source line for example. The command line prints `render()` and exits with
    `exit_code`; nothing of a traceback is shown.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message

    def render(self, *, color: bool = False) -> str:
        """The whole text for a terminal, without a closing newline; with ANSI colours when `color` is true. Names of
        somebody else's file, which a message may hold, can't drive it."""
        message, hint = clean(self.message, kept="\n\t"), clean(self.hint, kept="\n\t")
        red, cyan, plain = ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") if color else ("", "", "")
        text = f"{red}error:{plain} {message}"
        return f"{text}\n{cyan}  hint:{plain} {hint}" if hint else text


class UsageError(MctcError):
    """The command line asks for something that can't be done."""

    exit_code = ExitCode.USAGE
