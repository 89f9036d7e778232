"""What `mctc verify` measures with trained weights."""

from __future__ import annotations

from bench.trained.cells import markdown
from bench.trained.model import Model
from mctc.proof.proof import Proof

HOLDS = {True: "yes", False: "**no**", None: "not run"}


def table(model: Model) -> str:
    """Every check of every component, and on which input of the battery it is furthest off."""
    found = Proof(model.folder, model.weights).checks()
    rows = [[each.name, each.component, each.measured, each.item or "", each.limit, HOLDS[each.ok]] for each in found]
    headings = ["check", "component", "measured", "on", "limit", "holds"]
    return "\n".join(["### Checks of the proof\n", markdown(headings, rows)])
