"""A package read back from disk and evaluated against the program that it was made from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mctc.build.agreement import agreement, random_arrays
from mctc.build.names import STATE_OUT, identifier
from mctc.build.tables import given_rows
from mctc.build.target import Agreement, Written
from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Program
from mctc.package import Package
from mctc.targets.ane.emit import SINGLE_NAME
from mctc.targets.ane.errors import EmitError
from mctc.weights import Weights

# Of the largest magnitude in a result. Both sides hold the same fp16 weights and compute in more precision; what is
# left are compile-time numbers (an epsilon, a factor) that the package holds in fp16.
TOLERANCE = 2e-3


def check_packages(
    program: Program, weights: Weights, packages: Mapping[str, Package], written: Written, states_as_io: bool = False
) -> list[Agreement]:
    """Type-checks every package and evaluates each function once on random inputs and states.

    packages: those that were written, as read back from disk. Raises EmitError when a result differs by more than
    TOLERANCE, and PackageError, TypeMismatch or UnsupportedOp when a package can't be executed.
    """
    found: list[Agreement] = []
    for artifact, package in packages.items():
        for name, interface in written.interfaces.items():
            if interface.artifact == artifact:
                found += _check(program, program.functions[name], weights, package, states_as_io)
    return found


def _check(
    program: Program, function: Function, weights: Weights, package: Package, states_as_io: bool
) -> list[Agreement]:
    inputs = random_arrays({value.name: value.type for value in function.inputs})
    states = random_arrays({state.name: state.value.type for state in function.states})
    states = {name: array.astype(np.float16) for name, array in states.items()}  # as exact; caches can be large

    def parameter(name: str) -> Array:
        return weights.deployed(program.parameters[name])

    results, updates = evaluate(function, inputs, parameter, states)
    weights.release()
    expected = {identifier(name): array.astype(np.float32) for name, array in results.items()}
    expected |= {identifier(name) + STATE_OUT: array.astype(np.float32) for name, array in updates.items()}
    del results, updates
    actual = _run(package, function, given_rows(function, inputs, parameter), states, states_as_io)
    return [
        agreement(package.path, function.name, key, array, actual[key], TOLERANCE, EmitError)
        for key, array in expected.items()
    ]


def _run(
    package: Package, function: Function, inputs: Mapping[str, Array], states: Mapping[str, Array], states_as_io: bool
) -> dict[str, Array]:
    """Results and new states of one call, by the names that the package gives them when states are outputs."""
    name = SINGLE_NAME if SINGLE_NAME in package.functions else identifier(function.name)
    compiled = Evaluator(package, "fp32", keep_weights=False, check_types=True).function(name)
    given = {identifier(key): array for key, array in inputs.items()}
    named = {identifier(key): array for key, array in states.items()}
    if states_as_io:
        return compiled(given | named)
    state = compiled.make_state()
    for key, array in named.items():
        state[key] = array
    results = compiled(given, state)
    return results | {key + STATE_OUT: state[key] for key in named}
