"""What tests of pruning share: checkpoints of noise, and what a program computes with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.evaluate.reference import evaluate
from mctc.initializers import initialise
from mctc.ir.program import Program
from mctc.passes.prune import Prune
from mctc.rewrite.base import Context
from mctc.weights import Weights


def pruned(program: Program) -> Program:
    return Prune().run(program, Context())


def checkpoint(program: Program, path: Path) -> Path:
    """One of all tensors of a program, with noise on what they begin as."""
    tensors = {name: initialise(name, type_, rule, 5) for name, (type_, rule) in program.sources.items()}
    noise = np.random.default_rng(1)
    save_file(
        {name: (each + noise.normal(0, 0.1, each.shape)).astype(np.float32) for name, each in tensors.items()}, path
    )
    return path


def results(program: Program, path: Path, frames: int = 30) -> np.ndarray:
    """The first result of the first component over noise."""
    weights, function = Weights.load(program, path), next(iter(program.functions.values()))
    (fed,) = function.inputs
    inputs = {fed.name: np.random.default_rng(2).normal(0, 1, (1, frames, fed.type.extents[-1].value))}
    made, _ = evaluate(function, inputs, lambda name: weights.exact(program.parameters[name]))
    return np.asarray(made[function.results[0][0]])
