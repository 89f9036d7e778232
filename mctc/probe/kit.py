"""All probes, and the folder that goes to a Mac's owner."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from mctc.driver.folder import replaced
from mctc.linter.coreml.measured import exporter
from mctc.package.write import write_package
from mctc.probe.numbers import additions, sums
from mctc.probe.placements import placements
from mctc.probe.probe import Probe
from mctc.probe.tables import tables

KIND, SCHEMA = "mctc probes", 1
README = """Probes of Core ML and the Neural Engine

Please run, on a Mac with Apple silicon and macOS 15 or newer:

    python3 -m venv venv
    venv/bin/pip install "coremltools>=9" numpy
    venv/bin/python run_probe.py

It takes a few minutes and writes answers.zip: what each small model gave on the engine and on the CPU, where its
operations ran, the chip's name and the system's version; nothing else of this Mac. Then:

    mctc probe read answers.zip

Close other programs that use the engine (dictation, photo analysis). Nothing has to be installed for good.
"""


@cache
def probes() -> Mapping[str, Probe]:
    """All probes by name."""
    return {probe.name: probe for probe in (sums(), additions(), *tables(), *placements())}


def digest() -> str:
    """What tells one version of the probes from another."""
    content = hashlib.sha256()
    for probe in probes().values():
        content.update(repr((probe.name, probe.kind.value, probe.op, probe.output)).encode())
        for name, array in probe.inputs.items():
            content.update(name.encode() + array.tobytes())
    return content.hexdigest()[:16]


def write_kit(folder: Path, *, force: bool = False) -> None:
    """Writes the folder whole or not at all. Raises BuildError for one that is not ours to replace."""
    with replaced(folder, force=force) as place:
        (place / "packages").mkdir()
        (place / "inputs").mkdir()
        for probe in probes().values():
            write_package(probe.package, place / "packages" / f"{probe.name}.mlpackage")
            with (place / "inputs" / f"{probe.name}.npz").open("wb") as file:
                np.savez_compressed(file, **probe.inputs)  # type: ignore[arg-type]
        told = [
            {"name": p.name, "kind": p.kind.value, "question": p.question, "output": p.output, "rule": p.rule}
            for p in probes().values()
        ]
        record = {"kind": KIND, "schema": SCHEMA, "kit": digest(), "probes": told}
        (place / "probes.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        script = files("mctc.probe").joinpath("run_probe.py").read_text(encoding="utf-8")
        (place / "run_probe.py").write_text(script, encoding="utf-8")
        (place / "export_plan.py").write_text(exporter(), encoding="utf-8")
        (place / "README.txt").write_text(README, encoding="utf-8")
