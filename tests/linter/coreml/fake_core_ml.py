"""Runs a script with coremltools' own compute_plan.py and a made-up Core ML underneath, in a process of its own.

    python fake_core_ml.py MODELS_FOLDER PLAN.json SCRIPT [ARGUMENT...]

MODELS_FOLDER is coremltools/models as installed: compute_plan.py and compute_device.py are the real ones, so that the
script meets the classes it will meet on a Mac. Only the native library, the compiler and coremltools' heavy __init__
are replaced. PLAN.json says what Core ML is to answer; null in place of functions is a model that is no ML program.
"""

from __future__ import annotations

import json
import platform
import runpy
import sys
from enum import Enum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FOLDER, PLAN, SCRIPT, *ARGUMENTS = sys.argv[1:]
ASKED = json.loads(Path(PLAN).read_text())


class Device:
    """What the native library hands to the classes of devices."""


class PlanProxy:
    """The native side of a compute plan."""

    def __init__(self) -> None:
        from coremltools.models import compute_plan

        self.module = compute_plan
        self.answers: dict[int, Any] = {}
        functions = ASKED["functions"]
        program = None
        if functions is not None:
            made = {
                name: compute_plan.MLModelStructureProgramFunction([], self.block(ops))
                for name, ops in functions.items()
            }
            program = compute_plan.MLModelStructureProgram(made)
        self.model_structure = compute_plan.MLModelStructure(None, program, None)

    def block(self, operations: list[Any]) -> Any:
        return self.module.MLModelStructureProgramBlock([], [self.operation(each) for each in operations], [])

    def operation(self, said: dict[str, Any]) -> Any:
        values = [self.module.MLModelStructureProgramNamedValueType(name, None) for name in said["outputs"]]
        blocks = [self.block(each) for each in said.get("blocks", [])]
        made = self.module.MLModelStructureProgramOperation(
            inputs={}, operator_name=said["type"], outputs=values, blocks=blocks, __proxy__=None
        )
        self.answers[id(made)] = said
        return made

    def get_compute_device_usage_for_mlprogram_operation(self, operation: Any) -> Any:
        said = self.answers[id(operation)]
        if "preferred" not in said:
            return None
        supported = [device(name) for name in said["supported"]]
        return self.module.MLComputePlanDeviceUsage(device(said["preferred"]), supported)

    def get_estimated_cost_for_mlprogram_operation(self, operation: Any) -> Any:
        said = self.answers[id(operation)]
        return self.module.MLComputePlanCost(said["cost"]) if "cost" in said else None


def device(name: str) -> Any:
    from coremltools.models import compute_device

    return getattr(compute_device, f"ML{name}ComputeDevice")(Device())


def get_compute_plan(path: str, units: str) -> Any:
    from coremltools.models.compute_plan import MLComputePlan

    assert path.endswith(".mlmodelc"), path
    assert Path(path).is_dir(), path
    assert units == ASKED["units"], units
    return MLComputePlan(PlanProxy())


def compile_model(model: str, destination_path: str) -> str:
    assert isinstance(model, str)
    assert model.endswith((".mlpackage", ".mlmodel")), model
    assert destination_path.endswith(".mlmodelc"), destination_path
    Path(destination_path).mkdir()
    return destination_path


def module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(content)
    sys.modules[name] = made
    return made


units = Enum("ComputeUnit", ["ALL", "CPU_AND_GPU", "CPU_ONLY", "CPU_AND_NE"])
logger = SimpleNamespace(warning=lambda text: sys.exit(f"coremltools warns: {text}"))
module("coremltools", __path__=[], __version__="9.0", ComputeUnit=units, _logger=logger)
module("coremltools.models", __path__=[FOLDER])
module("coremltools.models.utils", compile_model=compile_model)
proxies = dict.fromkeys(
    ("_MLCPUComputeDeviceProxy", "_MLGPUComputeDeviceProxy", "_MLNeuralEngineComputeDeviceProxy"), Device
)
model_proxy = SimpleNamespace(get_compute_plan=get_compute_plan)
module("coremltools.libcoremlpython", _MLModelProxy=model_proxy, _MLComputePlanProxy=PlanProxy, **proxies)

platform.system = lambda: "Darwin"
platform.mac_ver = lambda: ("15.3", ("", "", ""), "arm64")  # type: ignore[assignment]
sys.argv = [SCRIPT, *ARGUMENTS]
try:
    runpy.run_path(SCRIPT, run_name="__main__")
finally:
    assert not [name for name in sys.modules if name.split(".")[0] == "mctc"], "the script stands alone"
