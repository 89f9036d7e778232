"""Every IR op with a Core AI form computes in Core AI's runtime what the IR's reference says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.numerics.battery import draw
from mctc.targets.ane.rules import RULES as CORE_ML_RULES
from mctc.targets.coreai.rules import RULES
from tests.targets.ane.test_rules import CASES, program_of

from .conftest import Made, made

LEGALISED = {"layer_norm", "constant", "parameter"}  # ops of Core ML's that the passes for Core AI leave none of
Errors = Mapping[str, tuple[float, float]]


def together() -> Program:
    """All cases as functions of one program: coreai compiles an asset at a time."""
    program = Program("cases")
    for index, case in enumerate(CASES.values()):
        one = program_of(case)
        program.sources.update(one.sources)
        program.parameters.update(one.parameters)
        function = one.functions["encoder"]
        function.name = f"case{index}"
        program.functions[function.name] = function
    return program


def errors(written: Made) -> Errors:
    """Of every case: the largest error, of the largest magnitude, and the signal-to-noise ratio in dB."""
    engine, found = written.engine(), {}
    for name, function in zip(CASES, written.program.functions.values()):
        inputs = draw(function, {})
        expected, _ = evaluate(function, inputs, lambda p: written.weights.deployed(written.program.parameters[p]))
        actual = engine.function(function.name)(inputs)
        pairs = [(np.float64(expected[result]), np.float64(actual[result])) for result in expected]
        found[name] = (max(worst(*pair) for pair in pairs), min(ratio(*pair) for pair in pairs))
    return found


def worst(expected: Array, actual: Array) -> float:
    assert expected.shape == actual.shape
    return float(np.abs(expected - actual).max() / max(np.abs(expected).max(), 1e-30))


def ratio(expected: Array, actual: Array) -> float:
    noise = np.square(expected - actual).sum()
    return float(10 * np.log10(np.square(expected).sum() / noise)) if noise else np.inf


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    return errors(made(together(), tmp_path_factory.mktemp("fp32"), precision="fp32"))


@pytest.fixture(scope="module")
def fp16(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    return errors(made(together(), tmp_path_factory.mktemp("fp16"), precision="fp16"))


@pytest.mark.parametrize("name", CASES)
def test_in_fp32_an_op_is_what_the_reference_says(fp32: Errors, name: str) -> None:
    assert fp32[name][0] <= 1e-5


@pytest.mark.parametrize("name", CASES)
def test_in_fp16_an_op_has_the_noise_of_fp16(fp16: Errors, name: str) -> None:
    assert fp16[name][1] >= 55


def test_every_op_that_core_ml_has_a_form_of_has_one_here() -> None:
    assert set(CORE_ML_RULES) - LEGALISED <= set(RULES)
