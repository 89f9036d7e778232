"""What a run of one program can end with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.errors import MctcError

T = TypeVar("T")
PLACE = re.compile(r"\S+:\d+:\d+")


class FindingError(AssertionError):
    """Something is wrong with mctc or an engine. `stage` is where it showed, `what` what happened there."""

    def __init__(self, stage: str, what: str) -> None:
        super().__init__(f"{stage}: {what}")
        self.stage, self.what = stage, what


@dataclass
class Outcome:
    """What was seen of one program.

    errors: the largest relative error by runtime. refused: (stage, reason) of everything that mctc declined with a
    message. skipped: runtimes that are not installed. covered: what the program holds, by kind (op, role, ...).
    fed: items of the battery over which results were compared.
    """

    errors: dict[str, float] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    covered: dict[str, list[str]] = field(default_factory=dict)
    fed: set[str] = field(default_factory=set)


def guarded(stage: str, action: Callable[[], T]) -> T:
    """The action's result. What is not an MctcError becomes a finding; an MctcError stays one."""
    try:
        return action()
    except (MctcError, FindingError):
        raise
    except Exception as error:
        raise FindingError(stage, f"{type(error).__name__}: {error} ({_where(error)})") from error


def _where(error: BaseException) -> str:
    """The innermost place of mctc in a traceback."""
    place, at = "", error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        place = (
            f"{code.co_filename.rpartition('/')[2]}: {code.co_name}"
            if "mctc" in code.co_filename or not place
            else place
        )
        at = at.tb_next
    return place


def place_of(error: MctcError) -> str | None:
    """The file:line:column that a message names, if it does."""
    if isinstance(error, DiagnosticError):
        first = next((d for d in error.diagnostics if d.is_error), error.diagnostics[0])
        return first.file if first.span is None else str(first.span.location)
    found = PLACE.search(f"{error.message} {error.hint or ''}")
    return found.group() if found else None


def without_folder(text: str) -> str:
    """A message without the folder of the day that a program was run in."""
    return re.sub(r"/\S*mctc-fuzz-[^/ ]*/", "", text)


def reason_of(error: MctcError) -> str:
    """A message without what differs from program to program: places, names, numbers."""
    text: Any = error.message.split("\n")[0]
    text = re.sub(r"\S+:\d+:\d+:?", "", text)
    text = re.sub(r"`[^`]*`|'[^']*'|\b(f32|f16|i32|bool)\[[^\]]*\]( < \d+)?", "_", text)
    return re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?", "n", text)).strip()[:120]
