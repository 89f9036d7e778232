"""Writes .mlpackage folders: Manifest.json, the model and its weight file. The same program gives the same bytes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from mctc.driver.names import identifier
from mctc.driver.tables import write_tables
from mctc.driver.target import Interface, Written
from mctc.emit.ports import interface
from mctc.ir.program import Function, Program
from mctc.targets.ane.constants import Store
from mctc.targets.ane.emit import SINGLE_NAME, Emitted, emit_model
from mctc.targets.ane.function import MIL_DTYPE
from mctc.targets.ane.weight_file import WeightFile
from mctc.weights import Weights

AUTHOR = "com.apple.CoreML"
MODEL = "model.mlmodel"
# Identifiers in a package's own manifest only have to differ from one another: they are derived from what they name.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.apple.com/documentation/coreml/mlpackage")


def write_packages(
    program: Program,
    weights: Weights,
    folder: Path,
    *,
    separate: bool = False,
    states_as_io: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Written:
    """Writes all functions into one package, or each into its own, and the tables of lookups that are left to the
    caller beside them. Raises EmitError."""
    interfaces: dict[str, Interface] = {}
    origins: dict[str, Mapping[str, int]] = {}
    packages = _packages(program, separate)
    for name, functions in packages.items():
        emitted = write_package(program, functions, weights, folder / name, states_as_io, metadata)
        origins.update(emitted.origins)
        for function in functions:
            interfaces[function.name] = interface(
                function,
                name,
                MIL_DTYPE,
                emitted.operations[function.name],
                states_as_io=states_as_io,
                name=SINGLE_NAME if len(functions) == 1 else "",
            )
    write_tables(program, weights, folder)
    return Written(tuple(packages), interfaces, origins)


def _packages(program: Program, separate: bool) -> dict[str, list[Function]]:
    """Functions by the name of the package that holds them."""
    functions = list(program.functions.values())
    if separate and len(functions) > 1:
        return {f"{identifier(program.name)}_{identifier(f.name)}.mlpackage": [f] for f in functions}
    return {f"{identifier(program.name)}.mlpackage": functions}


def write_package(
    program: Program,
    functions: Sequence[Function],
    weights: Weights,
    path: Path,
    states_as_io: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Emitted:
    """Writes one package at `path`, which must not exist. Weights are held one tensor at a time. Raises EmitError."""
    data = path / "Data" / AUTHOR
    (data / "weights").mkdir(parents=True)
    with WeightFile(data / "weights" / "weight.bin") as file:
        store = Store(weights, file)
        emitted = emit_model(program, functions, store, states_as_io=states_as_io, metadata=metadata)
    (data / MODEL).write_bytes(emitted.model)
    (path / "Manifest.json").write_text(_manifest(), encoding="utf-8")
    return emitted


def _manifest() -> str:
    items = {
        "weights": {"description": "CoreML Model Weights", "path": f"{AUTHOR}/weights"},
        MODEL: {"description": "CoreML Model Specification", "path": f"{AUTHOR}/{MODEL}"},
    }
    identifiers = {name: str(uuid.uuid5(NAMESPACE, entry["path"])) for name, entry in items.items()}
    entries = {identifiers[name]: {"author": AUTHOR, "name": name, **entry} for name, entry in items.items()}
    content = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": identifiers[MODEL],
    }
    return json.dumps(content, indent=4, sort_keys=True) + "\n"
