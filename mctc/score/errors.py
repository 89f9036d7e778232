"""The errors that scoring can end in."""

from __future__ import annotations

from pathlib import Path

from mctc.diagnostics.errors import MctcError

SHOWN = 12  # problems in a message


class ScoreError(MctcError):
    """Something that can't be scored."""


class ManifestError(ScoreError):
    """A list of recordings that can't be used: place is its file, with the line where there is one."""

    def __init__(self, place: Path | str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{place}: {problem}", hint=hint)


def refuse(problems: list[str], hint: str | None = None) -> None:
    """Raises ScoreError with the first of the problems, each on a line of its own, if there are any."""
    if problems:
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise ScoreError("\n".join(problems[:SHOWN]) + more, hint=hint)
