"""Where an op comes from: a place in the author's text, an instance path, and the passes that touched it."""

from __future__ import annotations

from mctc.diagnostics.source import Location
from mctc.records import dataclass

__all__ = ["Event", "Location", "Origin"]


@dataclass(frozen=True)
class Event:
    """One change by one pass, told in one line."""

    by: str
    change: str


@dataclass(frozen=True)
class Origin:
    """`path` is the instance path, e.g. 'encoder.layers.3.mamba'; `history` lists what passes did, oldest first."""

    location: Location | None = None
    path: str = ""
    history: tuple[Event, ...] = ()

    def after(self, by: str, change: str) -> Origin:
        return Origin(self.location, self.path, (*self.history, Event(by, change)))
