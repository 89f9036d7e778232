"""Runs the probes of mctc on this Mac and writes what came out, for `mctc probe read`.

This script stands alone: it needs macOS 15 or newer with coremltools 9 or newer, and nothing of mctc.

    pip install "coremltools>=9" numpy
    python run_probe.py                 # writes answers.zip, to be sent back

Every package is loaded twice, for the engine and for the CPU alone, run once, and asked where its operations run.
Nothing leaves this folder. A package that fails to load or to run is noted, and the next one is taken.
"""

from __future__ import annotations

import json
import platform
import sys
import time
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

KIND, SCHEMA = "mctc probe answers", 1
UNITS = {"engine": "CPU_AND_NE", "cpu": "CPU_ONLY"}


def main() -> int:
    """Runs all probes of this folder; returns the exit code."""
    folder = Path(__file__).resolve().parent
    if platform.system() != "Darwin":
        print("error: only macOS runs Core ML models: call this on a Mac", file=sys.stderr)
        return 2
    import coremltools

    probes = json.loads((folder / "probes.json").read_text(encoding="utf-8"))
    answers: dict[str, Any] = {
        "kind": KIND, "schema": SCHEMA, "kit": probes["kit"], "chip": chip(),
        "system": f"macOS {platform.mac_ver()[0]}", "coremltools": coremltools.__version__, "probes": {},
    }  # fmt: skip
    arrays: dict[str, Any] = {}
    for probe in probes["probes"]:
        print(f"{probe['name']} ...", flush=True)
        answers["probes"][probe["name"]] = asked(folder, probe, arrays)
    with zipfile.ZipFile(folder / "answers.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("answers.json", json.dumps(answers, indent=1))
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array))
    print(f"wrote {folder / 'answers.zip'}: send it back, or run `mctc probe read` on it")
    return 0


def asked(folder: Path, probe: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """What one probe answers; its results go into `arrays`."""
    package = folder / "packages" / f"{probe['name']}.mlpackage"
    answer: dict[str, Any] = {"errors": {}, "seconds": {}}
    try:
        answer["plan"] = beside().export(package, "cpuAndNeuralEngine")["functions"]
    except Exception as error:
        answer["errors"]["plan"] = told(error)
    for kind, units in UNITS.items():
        try:
            started = time.perf_counter()
            results = run(package, folder / "inputs" / f"{probe['name']}.npz", units)
            answer["seconds"][kind] = time.perf_counter() - started
            if probe["output"]:
                arrays[f"{probe['name']}.{kind}"] = results[probe["output"]]
        except Exception as error:
            answer["errors"][kind] = told(error)
    return answer


def run(package: Path, inputs: Path, units: str) -> dict[str, Any]:
    """The results of one call: fp16 in, fp16 out."""
    import coremltools

    model = coremltools.models.MLModel(str(package), compute_units=getattr(coremltools.ComputeUnit, units))
    given = dict(np.load(inputs))
    state = model.make_state() if model.get_spec().description.state else None
    results: dict[str, Any] = model.predict(given, state) if state is not None else model.predict(given)
    return results


def told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def chip() -> str:
    """'Apple M4'."""
    return str(beside()._chip())


def beside() -> Any:
    """export_plan.py, which lies beside this script."""
    return import_module("export_plan")


if __name__ == "__main__":
    sys.exit(main())
