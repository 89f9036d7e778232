"""Random programs over a stream, from their steps to an asset: Core AI's runtime agrees with the IR's reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mctc.driver.compile import compile_program
from mctc.driver.names import identifier
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Initializer, Program
from mctc.targets.coreai.engine import CoreAiEngine
from mctc.targets.coreai.target import CoreAiTarget
from mctc.weights import Weights
from tests.streaming.programs import Case, cases

CHUNK = 8  # frames: every stride of a random program divides it
CALLS = 3
# Of the largest magnitude. In fp16, some programs are worse for any machine that rounds after every op: numpy too.
LIMITS = {"fp32": 1e-4, "fp16": 2e-2}
NUMPY_TIMES = {"fp32": 0, "fp16": 3}


class Given(Weights):
    """The values that come with a random program."""

    def __init__(self, program: Program, values: Mapping[str, Array]) -> None:
        super().__init__(program.sources)
        self.values = values

    def source(self, source, dtype=np.float32):  # type: ignore[no-untyped-def]
        return self.values[source.name].astype(dtype)


@dataclass(frozen=True)
class Errors:
    """Of chained calls, of the largest magnitude: the runtime's, and numpy's where it rounds to fp16 after every op."""

    runtime: float
    numpy: float


def errors(case: Case, precision: str, folder: Path) -> Errors:
    program = replace(case.program, sources={n: (t, Initializer()) for n, (t, _) in case.program.sources.items()})
    asked = BuildOptions(chunk=CHUNK, state="io", precision=precision)
    compiled = compile_program(program, asked, requirements=CoreAiTarget.requirements)
    deployed = compiled.deployed
    weights, function = Given(deployed, case.weights), deployed.functions["f"]
    CoreAiTarget().write(compiled, weights, folder, asked, {})
    engine = CoreAiEngine(folder / "random.aimodel").function("f")

    def parameter(name: str) -> Array:
        return weights.deployed(deployed.parameters[name])

    state = rounded = {entry.name: np.zeros(entry.value.type.shape) for entry in function.states}
    carried = {identifier(name): array for name, array in state.items()}
    rng, found = np.random.default_rng(0), []
    for _ in range(CALLS):
        frames = {v.name: rng.normal(size=v.type.shape).astype(np.float16) for v in function.inputs}
        expected, state = evaluate(function, frames, parameter, state)
        with np.errstate(over="ignore"):
            half, rounded = evaluate(function, frames, parameter, rounded, dtype=np.float16)
        actual = engine({identifier(name): array for name, array in frames.items()} | carried)
        carried = {name: actual[f"{name}_out"] for name in carried}
        found += [(error(array, actual[name]), error(array, half[name])) for name, array in expected.items()]
    return Errors(*(max(each) for each in zip(*found)))


def error(expected: Array, actual: Array) -> float:
    return float(np.abs(expected - actual).max() / max(np.abs(expected).max(), 1e-2))


@pytest.mark.parametrize("precision", LIMITS)
@settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_random_program_s_steps_agree(precision: str, case: Case) -> None:
    with TemporaryDirectory() as folder:
        found = errors(case, precision, Path(folder))
    assert found.runtime <= LIMITS[precision] + NUMPY_TIMES[precision] * found.numpy
