"""Writes a build's models: a step model and a whole-sequence model for each function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mctc.driver.compile import Compiled
from mctc.driver.names import identifier
from mctc.driver.target import Interface, Written
from mctc.emit.ports import element_types, interface
from mctc.ir.program import Function, Program
from mctc.targets.onnx.model import Emitted, emit_model
from mctc.targets.onnx.target import WHOLE
from mctc.targets.onnx.tensors import TensorFile
from mctc.targets.onnx.weights import stored_bytes
from mctc.weights import Weights

EXTERNAL = 32 << 20  # bytes of stored parameters from which on they lie beside the model, written one at a time
DATA = ".data"  # what the name of that file ends with
ELEMENTS = element_types("fp32")


def write_models(compiled: Compiled, weights: Weights, folder: Path, metadata: Mapping[str, str]) -> Written:
    """Writes all models of a compiled program into `folder`. Raises OnnxError."""
    steps: dict[str, Interface] = {}
    whole: dict[str, Interface] = {}
    origins: dict[str, Mapping[str, int]] = {}
    for name, function in compiled.deployed.functions.items():
        file = _file_name(compiled.deployed, function, "")
        told = {**metadata, **_streaming(compiled, function)}
        emitted = _write(compiled.deployed, function, weights, folder / file, told)
        steps[name], origins[name] = _interface(function, file, emitted.operations), emitted.origins
    unfolded = weights.of_another_program()
    for name, function in compiled.whole.functions.items():
        file = _file_name(compiled.whole, function, WHOLE)
        told = {**metadata, "mctc.component": name}
        whole[name] = _interface(
            function, file, _write(compiled.whole, function, unfolded, folder / file, told).operations
        )
    artifacts = [each.artifact for each in (*steps.values(), *whole.values())]
    return Written(tuple(artifacts), steps, origins, whole)


def _interface(function: Function, artifact: str, operations: int) -> Interface:
    return interface(function, artifact, ELEMENTS, operations, states_as_io=True, lookups=False)


def _file_name(program: Program, function: Function, suffix: str) -> str:
    return f"{identifier(program.name)}_{identifier(function.name)}{suffix}.onnx"


def _write(program: Program, function: Function, weights: Weights, path: Path, metadata: Mapping[str, str]) -> Emitted:
    with ExitStack() as stack:
        big = stored_bytes(program, function) > EXTERNAL
        file = stack.enter_context(TensorFile(path.with_name(path.name + DATA))) if big else None
        emitted = emit_model(program, function, weights, file, metadata)
    path.write_bytes(emitted.data)
    return emitted


def _streaming(compiled: Compiled, function: Function) -> dict[str, str]:
    """What a caller of a step must know, as entries of its metadata; lists and tables are JSON."""
    step = compiled.steps.get(function.name)
    told = {"mctc.component": function.name, "mctc.states": json.dumps([identifier(s.name) for s in function.states])}
    if step is None:
        return told
    told |= {
        "mctc.streams_over": step.role.value,
        "mctc.chunk_frames": str(step.chunk),
        "mctc.delay_frames": json.dumps({identifier(name): timing.delay for name, timing in step.timings.items()}),
    }
    return told if step.rate is None else {**told, "mctc.frame_rate_hz": str(step.rate)}
