"""Words wrong by one package in the arithmetics of fp32, fp16 and the Neural Engine."""

from __future__ import annotations

from bench.trained import sets
from bench.trained.cells import change, markdown, rate
from bench.trained.model import Model, System

DEVICE = ("--target", "ane", "--device", "M6")
"""A chip whose arithmetic is published as a whole."""
FULL = System("fp32", DEVICE, ("--arithmetic", "fp32"), slow=True)
HALF = System("fp16", DEVICE, ("--arithmetic", "fp16"), slow=True)
ENGINE = System("engine:h18g", DEVICE, ("--arithmetic", "engine:h18g"), slow=True)
SYSTEMS = (FULL, HALF, ENGINE)
PAIRS = (
    ("fp16 against fp32", FULL, HALF),
    ("the engine's arithmetic against fp16", HALF, ENGINE),
)


def table(model: Model) -> str:
    """The first utterances of each test, heard by a package that is built for an M6."""
    found = {system: sets.plain(model, system) for system in SYSTEMS}
    rows = [
        [name, f"{len(heard)}", *(rate(found[system][name]) for system in SYSTEMS)]
        for name, heard in found[FULL].items()
    ]
    all_of = {system: sets.together(tests) for system, tests in found.items()}
    rows.append(["all together", f"{len(all_of[FULL])}", *(rate(all_of[system]) for system in SYSTEMS)])
    changes = ([told, *change(all_of[one], all_of[other])] for told, one, other in PAIRS)
    words = sum(each.words.said for each in all_of[FULL])
    return "\n".join(
        [
            f"### By arithmetic: words wrong of {words}, by a package for an M6, streamed\n",
            markdown(["test", "utterances", *(system.name for system in SYSTEMS)], rows),
            markdown(["points, over the same utterances", "", "95 %", "heard differently"], changes),
        ]
    )
