"""Writes .mlpackage folders: Manifest.json, the model and its weight file. The same program gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mctc.emit.skeleton import Emitted
from mctc.ir.program import Function, Program
from mctc.package.layout import AUTHOR, MODEL, manifest_text
from mctc.package.weight_file import WeightFile
from mctc.targets.ane.constants import Store
from mctc.targets.ane.emit import emit_model
from mctc.weights import Weights


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
    (path / "Manifest.json").write_text(manifest_text(), encoding="utf-8")
    return emitted
