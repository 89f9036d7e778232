"""What placement.json says of the packages of a build, in two or three lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PAGE, DATA = "placement.html", "placement.json"  # what the linter says, for people and for programs
WHERE = {"ane": "on the Neural Engine", "cpu": "on the CPU", "doubtful": "doubtful"}


def summary(folder: Path) -> Sequence[str]:
    """Where the functions are predicted to run, and what that costs."""
    packages = json.loads((folder / DATA).read_text(encoding="utf-8"))["packages"]
    told = []
    for function in (each for package in packages for each in package["functions"]):
        shares = function["shares"]
        most = max(shares, key=lambda place: float(shares[place]))
        told.append(f"{function['name']} {WHERE[most]}")
    target = packages[0]["target"]["name"]
    costs = [function["compile"] for package in packages for function in package["functions"] if function["compile"]]
    lines = [f"predicted for {target} ({PAGE} says why):", f"  {', '.join(told)}"]
    return [*lines, *_costs(costs)]


def _costs(costs: list[dict[str, Any]]) -> list[str]:
    """What the functions on the engine cost: the load of all, and the slowest call."""
    if not costs:
        return []
    if failing := [cost["fails"] for cost in costs if cost["fails"]]:
        return [f"  the engine's compiler fails: {failing[0]}"]
    load = sum(cost["first_load_s"] for cost in costs)
    awake = max(cost["first_call_ms"][1] for cost in costs)
    call = max(cost["call_ms"] for cost in costs)
    return [f"  first load {load:.2g} s, first call after idleness up to {awake:.0f} ms, a call {call:.2g} ms"]
