"""The .aimodel folder: all functions of a program, the same bytes for the same program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mctc.driver.names import identifier
from mctc.driver.tables import write_tables
from mctc.driver.target import Written
from mctc.emit.ports import element_types, interface
from mctc.ir.program import Program
from mctc.targets.coreai.constants import Constants
from mctc.targets.coreai.dialect import Graphs
from mctc.targets.coreai.function import FunctionEmitter
from mctc.targets.coreai.graphs import read_graphs
from mctc.targets.coreai.rules import RULES
from mctc.weights import Weights

SUFFIX = ".aimodel"
METADATA = "metadata.json"
CREATOR = "creatorDefinedMetadata"


def write_asset(
    program: Program,
    weights: Weights,
    folder: Path,
    *,
    states_as_io: bool,
    precision: str,
    metadata: Mapping[str, str],
) -> Written:
    """Writes all functions of a deployed program into one asset, and the tables of lookups that are left to the caller
    beside it. Raises CoreAiError."""
    graphs = Graphs()
    with graphs:
        constants = Constants(graphs, weights, precision)
        for function in program.functions.values():
            FunctionEmitter(program, function, constants, states_as_io).run(RULES)
    name = identifier(program.name) + SUFFIX
    graphs.save(folder / name)
    _describe(folder / name, metadata)
    write_tables(program, weights, folder)
    written = read_graphs(folder / name)
    interfaces = {
        function.name: interface(
            function,
            name,
            element_types(precision),
            sum(1 for _ in written[identifier(function.name)].computed),
            states_as_io=states_as_io,
        )
        for function in program.functions.values()
    }
    return Written((name,), interfaces)


def _describe(asset: Path, metadata: Mapping[str, str]) -> None:
    """Rewrites metadata.json: coreai stamps the time into it, and orders its keys by chance."""
    path = asset / METADATA
    described = json.loads(path.read_text(encoding="utf-8"))
    described.pop("creationDate", None)
    described[CREATOR] = dict(metadata)
    path.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
