"""The faults that are seeded, a file for each part of the project."""

from __future__ import annotations

from . import (
    command_line,
    core_ml,
    engines,
    files,
    inputs,
    kernels,
    mlx,
    numbers,
    passes,
    proof,
    rates,
    recurrences,
    references,
    refusals,
    streaming,
    training,
)

SECTIONS = {
    "Passes": passes.FAULTS,
    "Recurrences and their states": recurrences.FAULTS,
    "Steps and their timing": streaming.FAULTS,
    "What a call takes": rates.FAULTS,
    "What inputs may be": inputs.FAULTS,
    "Numbers in fp16": numbers.FAULTS,
    "What is refused, and what never becomes code": refusals.FAULTS,
    "Weights and Core ML packages": core_ml.FAULTS,
    "ONNX models and Core AI assets": engines.FAULTS,
    "MLX packages, and chains of packages": mlx.FAULTS,
    "Training modules": training.FAULTS,
    "Kernels": kernels.FAULTS,
    "Files and plugins": files.FAULTS,
    "The command line, and places in the spec": command_line.FAULTS,
    "What the others are compared with": references.FAULTS,
    "The proof itself": proof.FAULTS,
}
FAULTS = tuple(fault for faults in SECTIONS.values() for fault in faults)
