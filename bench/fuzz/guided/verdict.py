"""What may come of one input: it is taken, or refused in words. All else is a finding."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path

from mctc.diagnostics.errors import MctcError


class Verdict(Enum):
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Finding(AssertionError):  # noqa: N818
    """Something that must hold for every input does not."""


Trial = Callable[[bytes, Path], Verdict]
"""Tries an input, with a folder of its own. Raises Finding, or whatever mctc raised that it should not."""


def refused(error: MctcError) -> Verdict:
    """The verdict on an input that was refused. Raises Finding when the error only covers up a lack of memory."""
    error.render()
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise Finding(f"out of memory: {error}") from cause
        cause = cause.__cause__
    return Verdict.REFUSED
