"""Writes .mlpackage folders: Manifest.json, the model and its weight file. The same program gives the same bytes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from mctc.emit.skeleton import Emitted
from mctc.ir.program import Function, Program
from mctc.targets.ane.constants import Store
from mctc.targets.ane.emit import emit_model
from mctc.targets.ane.weight_file import WeightFile
from mctc.weights import Weights

AUTHOR = "com.apple.CoreML"
MODEL = "model.mlmodel"
# Identifiers in a package's own manifest only have to differ from one another: they are derived from what they name.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.apple.com/documentation/coreml/mlpackage")


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
        model, emitted = emit_model(program, functions, store, states_as_io=states_as_io, metadata=metadata)
    (data / MODEL).write_bytes(model)
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
