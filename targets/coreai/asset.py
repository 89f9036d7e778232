"""The .aimodel folder: all functions of a program, the same bytes for the same program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mctc.driver.names import identifier
from mctc.emit.skeleton import Emitted, Job
from mctc.ir.program import Function, Program
from mctc.targets.coreai.constants import Constants
from mctc.targets.coreai.dialect import Graphs
from mctc.targets.coreai.function import FunctionEmitter
from mctc.targets.coreai.graphs import read_graphs
from mctc.targets.coreai.rules import RULES

METADATA = "metadata.json"
CREATOR = "creatorDefinedMetadata"


def write_asset(job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
    """Writes functions into one asset. Raises CoreAiError."""
    graphs = Graphs()
    with graphs:
        constants = Constants(graphs, job.weights, job.options.precision or "fp16")
        for function in functions:
            FunctionEmitter(program, function, constants, job.states_as_io).run(RULES)
    graphs.save(path)
    _describe(path, job.metadata)
    written = read_graphs(path)
    return Emitted({each.name: sum(1 for _ in written[identifier(each.name)].computed) for each in functions})


def _describe(asset: Path, metadata: Mapping[str, str]) -> None:
    """Rewrites metadata.json: coreai stamps the time into it, and orders its keys by chance."""
    path = asset / METADATA
    described = json.loads(path.read_text(encoding="utf-8"))
    described.pop("creationDate", None)
    described[CREATOR] = dict(metadata)
    path.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
