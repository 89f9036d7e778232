"""What `mctc verify` measures with trained weights."""

from __future__ import annotations

from bench.trained.cells import markdown
from bench.trained.model import Model
from mctc.proof.ladder import Ladder

HOLDS = {True: "yes", False: "**no**", None: "not run"}


def table(model: Model) -> str:
    """Every rung of every component, and on which input of the battery it is furthest off."""
    found = Ladder(model.folder, model.weights).climb()
    rows = [[each.name, each.component, each.measured, each.item or "", each.limit, HOLDS[each.ok]] for each in found]
    headings = ["rung", "component", "measured", "on", "limit", "holds"]
    return "\n".join(["### Rungs of the proof\n", markdown(headings, rows)])
