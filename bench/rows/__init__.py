"""The rows in the order of the table: a name for the command line, and the function that measures."""

from __future__ import annotations

from collections.abc import Callable

from bench.row import Row
from bench.rows import (
    build_cost,
    command_cost,
    drift,
    engine_speed,
    evaluator_speed,
    felt,
    fidelity,
    imports,
    lines,
    lint,
    losses,
    memory,
    packages,
    random_programs,
    runtimes,
    scan_cpu,
    search,
    soundness,
    structure,
    training,
)
from bench.setting import Setting

ROWS: dict[str, Callable[[Setting], list[Row]]] = {
    "structure": structure.rows,
    "build": build_cost.against_peer,
    "depth": build_cost.against_depth,
    "memory": memory.rows,
    "fidelity": fidelity.rows,
    "drift": drift.rows,
    "lines": lines.rows,
    "random": random_programs.rows,
    "commands": command_cost.rows,
    "imports": imports.rows,
    "lint": lint.cost,
    "decisions": lint.decisions,
    "placements": lint.placements,
    "packages": packages.rows,
    "evaluator": evaluator_speed.rows,
    "engine": engine_speed.rows,
    "felt": felt.rows,
    "large": felt.large,
    "growth": felt.growth,
    "scan": scan_cpu.rows,
    "training": training.rows,
    "runtimes": runtimes.rows,
    "losses": losses.rows,
    "search": search.rows,
    "soundness": soundness.rows,
}
