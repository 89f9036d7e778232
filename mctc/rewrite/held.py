"""Why entries of an axis must stay."""

from __future__ import annotations

from mctc.records import dataclass


@dataclass(frozen=True)
class Held:
    """What has them, in words, and how a spec would free them, where it can."""

    why: str
    hint: str | None = None
