"""Writes .mlpackage folders: Manifest.json, the model and its weight file. The same program gives the same bytes."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mctc.ir.program import Function, Program
from mctc.targets.ane.constants import Store
from mctc.targets.ane.emit import emit_model
from mctc.targets.ane.names import identifier
from mctc.targets.ane.weight_file import WeightFile
from mctc.weights import Weights

AUTHOR = "com.apple.CoreML"
MODEL = "model.mlmodel"
# Identifiers in a package's own manifest only have to differ from one another: they are derived from what they name.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.apple.com/documentation/coreml/mlpackage")


@dataclass(frozen=True)
class Layout:
    """How functions become packages: 'single' puts all into one, 'separate' gives each its own."""

    kind: str = "single"

    def packages(self, program: Program) -> dict[str, list[Function]]:
        """Functions by the name of the package (without its ending) that holds them."""
        functions = list(program.functions.values())
        if self.kind == "separate" and len(functions) > 1:
            return {f"{identifier(program.name)}_{identifier(f.name)}": [f] for f in functions}
        return {identifier(program.name): functions}


def write_packages(
    program: Program,
    weights: Weights,
    folder: Path,
    *,
    layout: Layout | None = None,
    states_as_io: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> tuple[dict[str, list[str]], dict[str, Mapping[str, int]]]:
    """Writes the program's packages into `folder`. Raises EmitError; leaves what it wrote so far when it does.

    Returns the functions of each package by its file name, and for every function where its operations came from.
    """
    written: dict[str, list[str]] = {}
    origins: dict[str, Mapping[str, int]] = {}
    for name, functions in (layout or Layout()).packages(program).items():
        path = folder / f"{name}.mlpackage"
        origins.update(write_package(program, functions, weights, path, states_as_io, metadata))
        written[path.name] = [function.name for function in functions]
    return written, origins


def write_package(
    program: Program,
    functions: Sequence[Function],
    weights: Weights,
    path: Path,
    states_as_io: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Mapping[str, Mapping[str, int]]:
    """Writes one package at `path`, which must not exist. Weights are held one tensor at a time. Raises EmitError."""
    data = path / "Data" / AUTHOR
    (data / "weights").mkdir(parents=True)
    with WeightFile(data / "weights" / "weight.bin") as file:
        store = Store(weights, file)
        emitted = emit_model(program, functions, store, states_as_io=states_as_io, metadata=metadata)
    (data / MODEL).write_bytes(emitted.model)
    (path / "Manifest.json").write_text(_manifest(), encoding="utf-8")
    return emitted.origins


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


def size_of(path: Path) -> int:
    """Bytes of all files of a package."""
    return sum(entry.stat().st_size for place, _, files in os.walk(path) for entry in (Path(place) / f for f in files))
