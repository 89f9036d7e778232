"""What a function's first load and calls cost, in words."""

from __future__ import annotations

from mctc.linter.coreml.compile_cost import CompileCost, duration
from mctc.linter.coreml.formats.words import bytes_of

MILLION = 1_000_000


def compile_line(cost: CompileCost | None) -> str:
    """'first load 1.7 s, ...'; empty where nothing is on the engine."""
    if cost is None:
        return ""
    if cost.fails is not None:
        return f"the engine's compiler fails: {cost.fails}"
    low, high = (f"{value:.0f}" for value in cost.first_call)
    first = f"{low} ms" if low == high else f"{low} to {high} ms"
    room = f", {bytes_of(int(cost.disk))} on disk meanwhile" if cost.disk >= 100 * MILLION else ""
    return f"first load {duration(cost.load)}{room}, first call after idleness {first}, a call {cost.steady:.2f} ms"
