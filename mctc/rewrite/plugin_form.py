"""What a pass of a plugin must look like: faults in words, found as it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mctc.plugin_form import derives, names, plain, shown
from mctc.rewrite.base import Exact, Masks, Pass, Quantizes, Reshapes, Rounds, Stores, Within
from mctc.rewrite.options import option_faults
from mctc.rewrite.order import STAGES


def faults(cls: Any) -> Iterator[str]:
    """What is wrong with an object that is brought as a pass, the first fault first."""
    if not derives(cls, Pass):
        yield "must be a class derived from mctc.rewrite.base.Pass"
        return
    if cls.run is Pass.run:
        yield "has no `run`"
    if not isinstance(getattr(cls, "promise", None), (Exact, Within, Reshapes, Rounds, Stores, Masks, Quantizes)):
        known = "Exact(), Within(error), Reshapes(), Rounds(), Stores(), Masks() or Quantizes()"
        yield f"`promise` must be {known}, not {shown(getattr(cls, 'promise', None))}"
    if cls.stage not in STAGES:
        yield f"`stage` must be one of {', '.join(map(repr, STAGES))}, not {shown(cls.stage)}"
    for name in ("after", "before"):
        yield from names(cls, name, "names of passes")
    if both := plain(cls.after) & plain(cls.before):
        yield f"wants to run both after and before {', '.join(sorted(both))}"
    yield from option_faults(cls)
    if cls.name in plain(cls.after) | plain(cls.before):
        yield "wants to run next to itself"
