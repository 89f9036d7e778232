"""Random programs: the whole function and its steps, executed by onnxruntime, are what the program says.

MCTC_EXAMPLES=500 looks at so many programs; 25 if it is not set.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import HealthCheck, given, settings

from mctc.driver.compile import compile_program
from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.ir.op import Array
from mctc.ir.program import Initializer, Program
from mctc.ir.types import Role
from mctc.targets.onnx.target import OnnxTarget
from mctc.weights import Weights
from tests.streaming.programs import Case, cases

from .executed import assert_executes

EXAMPLES = int(os.environ.get("MCTC_EXAMPLES", "25"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
NORMAL, POSITIVE = Initializer("normal", (("std", 0.6),)), Initializer("ones")
# fp32 against float64, through chains of ops that amplify: a norm of nearly equal channels, a division.
TOLERANCE = 1e-4


def compiled(case: Case) -> Compiled:
    """A case with weights that a seed gives; variances, which must be positive, are ones."""
    values = case.weights
    sources = {
        name: (type_, POSITIVE if (values[name] > 0).all() else NORMAL)
        for name, (type_, _) in case.program.sources.items()
    }
    options = BuildOptions(target="onnx", chunk=4 * case.multiple, state="io")
    program = replace(case.program, sources=sources)
    return compile_program(program, options, requirements=OnnxTarget.requirements)


def agree(program: Program, inputs: dict[str, Array], states: dict[str, Array]) -> None:
    with TemporaryDirectory() as folder:
        assert_executes(program, Path(folder), inputs, states, Weights(program.sources), TOLERANCE)


def whole(case: Case) -> None:
    program = compiled(case).whole
    agree(program, replace(case, program=program).inputs(3 * case.multiple), {})


def steps(case: Case) -> None:
    program = compiled(case).deployed
    function, rng = program.functions["f"], np.random.default_rng(2)
    inputs = replace(case, program=program).inputs(4 * case.multiple)
    if "valid" in inputs:
        inputs["valid"] = rng.integers(0, 2, inputs["valid"].shape).astype(np.float64)
    # Of frames that exist, ones and zeros; all else is any number.
    states = {
        state.name: rng.integers(0, 2, state.value.type.shape).astype(np.float64)
        if "valid" in state.name
        else rng.normal(size=state.value.type.shape)
        for state in function.states
    }
    agree(program, inputs, states)


@many
@given(cases())
def test_a_program_over_time_whole(case: Case) -> None:
    whole(case)


@many
@given(cases())
def test_a_program_over_time_in_steps(case: Case) -> None:
    steps(case)


@settings(many, max_examples=max(1, EXAMPLES // 3))
@given(cases(Role.LABEL))
def test_a_program_over_labels_whole_and_in_steps(case: Case) -> None:
    whole(case)
    steps(case)
