"""Writes where Core ML wants to run every operation of a model, as MLComputePlan says it, for `mctc lint --measured`.

This script stands alone: copy it to a Mac (macOS 14.4 or newer) that has coremltools, 9 or newer.

    python export_plan.py model.mlpackage > plan.json
    python export_plan.py model.mlpackage --units all -o plan.json

The model is loaded, not run. The form of what is written is described in docs/lint-measured.md of mctc.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = 1
KIND = "mctc compute plan"
UNITS = {
    "cpuAndNeuralEngine": "CPU_AND_NE",
    "all": "ALL",
    "cpuAndGPU": "CPU_AND_GPU",
    "cpuOnly": "CPU_ONLY",
}
DEVICES = {
    "MLNeuralEngineComputeDevice": "ane",
    "MLCPUComputeDevice": "cpu",
    "MLGPUComputeDevice": "gpu",
}


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="a .mlpackage, a .mlmodel, or a compiled .mlmodelc")
    parser.add_argument("--units", choices=list(UNITS), default="cpuAndNeuralEngine", help="default: %(default)s")
    parser.add_argument("-o", "--output", type=Path, help="the file to write; standard output if left out")
    options = parser.parse_args()
    if not options.model.exists():
        parser.error(f"{options.model}: there is no such model")
    if platform.system() != "Darwin":
        parser.error("only macOS can tell where Core ML runs a model: call this on a Mac")
    try:
        text = json.dumps(export(options.model, options.units), indent=1) + "\n"
    except (ImportError, NotSupported) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")
    return 0


class NotSupported(Exception):  # noqa: N818
    """The model, or this machine, has no compute plan."""


def export(model: Path, units: str) -> dict[str, Any]:
    """The plan of a model as plain data. Raises NotSupported."""
    import coremltools
    from coremltools.models.compute_plan import MLComputePlan
    from coremltools.models.utils import compile_model

    with tempfile.TemporaryDirectory() as folder:  # the plan reads the compiled model for as long as it is asked
        compiled = model
        if model.suffix.lower() != ".mlmodelc":  # MLComputePlan takes nothing else, and may abort where it gets it
            compiled = Path(compile_model(str(model), str(Path(folder) / "model.mlmodelc")))
        chosen = getattr(coremltools.ComputeUnit, UNITS[units])
        plan = MLComputePlan.load_from_path(path=str(compiled), compute_units=chosen)
        program = plan.model_structure.program
        if program is None:
            raise NotSupported(f"{model}: not an ML program; neural networks and pipelines have no operations")
        functions = {
            name: [_operation(plan, each) for each in _operations(function.block)]
            for name, function in program.functions.items()
        }
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "model": model.name,
        "chip": _chip(),
        "system": f"macOS {platform.mac_ver()[0]}",
        "units": units,
        "coremltools": coremltools.__version__,
        "functions": functions,
    }


def _operations(block: Any) -> Iterator[Any]:
    """All operations of a block but constants, those of blocks inside right after the one that holds them."""
    for operation in block.operations:
        if operation.operator_name.rpartition(".")[2] != "const":
            yield operation
        for inner in operation.blocks:
            yield from _operations(inner)


def _operation(plan: Any, operation: Any) -> dict[str, Any]:
    usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
    cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
    weight = None if cost is None else float(cost.weight)
    return {
        "outputs": [each.name for each in operation.outputs],
        "type": operation.operator_name,
        "preferred": None if usage is None else _device(usage.preferred_compute_device),
        "supported": [] if usage is None else sorted({_device(each) for each in usage.supported_compute_devices}),
        "cost": weight if weight is not None and math.isfinite(weight) else None,
    }


def _device(device: Any) -> str:
    name = type(device).__name__
    return DEVICES.get(name, name)


def _chip() -> str:
    """'Apple M4', or the kind of processor where the system doesn't say."""
    try:
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        said = ""
    return said or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
