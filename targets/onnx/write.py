"""Writes a model, its large tensors beside it, and what a caller has to know among its metadata."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from mctc.driver.compiled import Compiled
from mctc.driver.names import identifier
from mctc.emit.skeleton import Emitted, Job
from mctc.ir.program import Function, Program
from mctc.targets.onnx.model import emit_model
from mctc.targets.onnx.tensors import TensorFile
from mctc.targets.onnx.weights import stored_bytes

EXTERNAL = 32 << 20  # bytes of stored parameters from which on they lie beside the model, written one at a time
DATA = ".data"  # what the name of that file ends with


def write_model(job: Job, program: Program, function: Function, path: Path) -> Emitted:
    """Writes the model of a function, a step or one over whole utterances. Raises OnnxError."""
    told = {"mctc.component": function.name}
    if program is job.compiled.deployed:
        told |= _streaming(job.compiled, function)
    with ExitStack() as stack:
        big = stored_bytes(program, function) > EXTERNAL
        file = stack.enter_context(TensorFile(path.with_name(path.name + DATA))) if big else None
        data, emitted = emit_model(program, function, job.weights, file, {**job.metadata, **told})
    path.write_bytes(data)
    return emitted


def _streaming(compiled: Compiled, function: Function) -> dict[str, str]:
    """What a caller of a step must know, as entries of its metadata; lists and tables are JSON."""
    step = compiled.steps.get(function.name)
    told = {"mctc.states": json.dumps([identifier(state.name) for state in function.states])}
    if step is None:
        return told
    told |= {
        "mctc.streams_over": step.role.value,
        "mctc.chunk_frames": str(step.chunk),
        "mctc.delay_frames": json.dumps({identifier(name): timing.delay for name, timing in step.timings.items()}),
    }
    return told if step.rate is None else {**told, "mctc.frame_rate_hz": str(step.rate)}
