"""An asset opened again, run, and compared with the program that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mctc.build.agreement import agreement, random_arrays
from mctc.build.names import STATE_OUT, identifier
from mctc.build.tables import given_rows
from mctc.build.target import Agreement, Interface, Written
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.targets.coreai.engine import CoreAiEngine, CoreAiFunction
from mctc.targets.coreai.errors import CoreAiError
from mctc.weights import Weights

# Of the largest magnitude in a result. In fp16 the runtime rounds after every op (and inside of every matrix product),
# where the reference computes in float64: what is left is the noise of hundreds of roundings.
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}


def check_asset(
    program: Program, weights: Weights, folder: Path, written: Written, *, states_as_io: bool, precision: str
) -> list[Agreement]:
    """Runs every function once on random inputs and states. Raises CoreAiError where a result differs too much."""
    (artifact,) = written.artifacts
    engine = CoreAiEngine(folder / artifact)
    found: list[Agreement] = []
    for name, interface in written.interfaces.items():
        found += _check(program, program.functions[name], weights, engine, interface, states_as_io, precision)
    return found


def _check(
    program: Program,
    function: Function,
    weights: Weights,
    engine: CoreAiEngine,
    interface: Interface,
    states_as_io: bool,
    precision: str,
) -> list[Agreement]:
    inputs = random_arrays({value.name: value.type for value in function.inputs})
    states = random_arrays({state.name: state.value.type for state in function.states})

    def parameter(name: str) -> Array:
        return weights.deployed(program.parameters[name])

    results, updates = evaluate(function, inputs, parameter, states)
    expected = {identifier(name): array for name, array in results.items()}
    expected |= {identifier(name) + STATE_OUT: array for name, array in updates.items()}
    rows = given_rows(function, inputs, parameter)
    actual = _run(engine.function(interface.name), rows, states, states_as_io)
    return [
        agreement(engine.asset, function.name, name, array, actual[name], TOLERANCE[precision], CoreAiError)
        for name, array in expected.items()
    ]


def _run(
    compiled: CoreAiFunction, inputs: Mapping[str, Array], states: Mapping[str, Array], states_as_io: bool
) -> dict[str, Array]:
    """Results and new states of one call, by the names that they have where states are outputs."""
    given = {identifier(key): array for key, array in inputs.items()}
    named = {identifier(key): array for key, array in states.items()}
    if states_as_io:
        return compiled(given | named)
    held = dict(named)
    results = compiled(given, held)
    return results | {key + STATE_OUT: array for key, array in held.items()}
