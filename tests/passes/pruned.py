"""What tests of pruning share: a spec with rules, checkpoints and scores of noise, what a program computes with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.checkpoint import SafeTensors
from mctc.compress.growing_sums import GrowingSums
from mctc.compress.statistics import Statistics
from mctc.driver.load import load_program
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


def program_of(spec: str, folder: Path, rules: str) -> Program:
    """Of a spec in whose text PRUNE stands for its `prune` section."""
    path = folder / "m.mct"
    path.write_text(spec.replace("PRUNE", f"prune {{ {rules} }}" if rules else ""))
    return load_program(path)


def drawn_scores(held: SafeTensors, folder: Path) -> Statistics:
    """Statistics whose Fisher information of each tensor is drawn."""
    statistics, random = Statistics({}, 1, GrowingSums.of(folder, {})), np.random.default_rng(3)
    felt = {name: random.uniform(0, 1, shape) ** 4 for name, shape in held.shapes.items()}
    statistics.fisher = felt.get  # type: ignore[method-assign]
    return statistics
