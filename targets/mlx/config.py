"""config.json: what a loader and a caller of the emitted package have to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mctc.driver import front_end
from mctc.driver.compiled import Compiled
from mctc.driver.target import Interface, Port
from mctc.streaming.step_info import StepInfo
from mctc.targets.mlx.module import ModuleText
from mctc.targets.mlx.searched import search
from mctc.targets.mlx.weights import quantized_layers


def config(
    compiled: Compiled, module: ModuleText, package: str, steps: Mapping[str, Interface], whole: Mapping[str, Interface]
) -> dict[str, Any]:
    """The table. `quantization` is as mlx-lm reads it; `model_file` names the module that defines `Model`."""
    quantization, audio = quantized_layers(compiled.reference), front_end.front_end(compiled)
    return {
        "model_type": compiled.whole.name,
        "model_file": f"{package}/model.py",
        **({"quantization": quantization, "quantization_config": quantization} if quantization else {}),
        "components": {name: _component(compiled, module, name, steps, whole) for name in compiled.whole.functions},
        "audio": audio,
        "search": search(compiled, audio),
    }


def _component(
    compiled: Compiled, module: ModuleText, name: str, steps: Mapping[str, Interface], whole: Mapping[str, Interface]
) -> dict[str, Any]:
    """Its function over whole utterances and its steps by name: what each takes and gives, and `shared`, the tensors of
    the model that it takes behind its inputs."""
    of_call, of_step = module.shared[name]
    called = {each: step for each, step in compiled.steps.items() if step.component == name and each in steps}
    return {
        "whole": {**_called(whole[name]), "shared": of_call},
        "steps": {each: _step(module, name, steps[each], step) | {"shared": of_step} for each, step in called.items()},
    }


def _step(module: ModuleText, name: str, interface: Interface, step: StepInfo) -> dict[str, Any]:
    """One step of a component; its states in the order in which they lie in the component's state."""
    states = {port.spec: port for port in interface.states}
    return {
        **_called(interface),
        "states": _ports(states[state] for state in module.states[name] if states),
        "chunk_frames": step.chunk,
        "delay_frames": {each: timing.delay for each, timing in step.timings.items()},
    }


def _called(interface: Interface) -> dict[str, Any]:
    held = {port.spec for port in interface.states}
    inputs = [port for port in interface.inputs if port.spec not in held]
    return {"inputs": _ports(inputs), "outputs": _ports(p for p in interface.outputs if p.spec not in held)}


def _ports(ports: Any) -> Sequence[dict[str, Any]]:
    return [_port(port) for port in ports]


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype}
