"""The faults that are seeded, a file for each part of the project."""

from __future__ import annotations

from . import passes

SECTIONS = {
    "Passes": passes.FAULTS,
}
FAULTS = tuple(fault for faults in SECTIONS.values() for fault in faults)
