"""Numbers that fp16 rounds or can't hold, from the spec to the package: both sides of a comparison hold the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.driver.compile import compile_program
from mctc.driver.make import BuildResult, build
from mctc.driver.options import BuildOptions
from mctc.ir.printer import print_program
from mctc.ir.text import parse_program
from mctc.language import elaborate_file
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages

SPEC = """
model numbers(width = 8, vocab = 96) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = vocab
    param table: f32[vocab, 32] = normal(std = 0.5)
    component factor(x: f32[B, T, width]) -> f32[B, T, width] { return 0.1 * linear(x, width) + 0.3 }
    component norm(x: f32[B, T, width]) -> f32[B, T, width] { return layer_norm(x, epsilon = 1e-12) as norm }
    component floor(x: f32[B, T, width]) -> f32[B, T, width] { return log(abs(x) + 1e-10) }
    component unit(x: f32[B, T, width]) -> f32[B, T, width] {
        return x / (sqrt(reduce_sum(x * x, axis = "channel")) + 1e-9)
    }
    component masked(x: f32[B, T, width], keep: f32[B, T, width]) -> f32[B, T, width] {
        return softmax(x + (keep - 1) * 1e9)
    }
    component predictor(token: i32[B, U] < vocab) -> f32[B, U, 32] { return op.embedding(token, table) }
    component output(p: f32[B, U, 32]) -> f32[B, U, V] { return op.linear(p, table) }
    stream { chunk = 80 ms }
    quantize { table: int8(per_channel) }
}
"""
ROUNDING = 1e-6  # float32 against float64


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "numbers.mct").write_text(SPEC)
    return build(folder / "numbers.mct", folder / "out", BuildOptions(verify_each=True))


def test_the_package_and_the_program_hold_the_same_numbers(built: BuildResult) -> None:
    assert max(row["error"] for row in built.manifest["verification"]) <= ROUNDING


def test_the_whole_program_of_a_build_holds_them_and_the_training_module_the_spec_s(built: BuildResult) -> None:
    whole = parse_program((built.folder / "whole.mir").read_text())
    numbers = {n for op in whole.functions["factor"].ops for n in op.attributes.values() if isinstance(n, float)}
    assert {float(np.float16(0.1)), float(np.float16(0.3))} <= numbers
    module = (built.folder / "training" / "numbers.py").read_text()
    assert "0.1 * " in module
    assert "eps=1e-12" in module


@pytest.mark.parametrize("component", ["factor", "norm", "floor", "unit", "masked"])
def test_digital_silence_gives_numbers_in_fp16(built: BuildResult, component: str) -> None:
    step = Packages(open_built(built.folder), "fp16").step(component)
    for _ in range(2):
        silent = {port.spec: np.zeros(port.type.shape) for port in step.function.inputs}
        assert all(np.isfinite(array).all() for array in step(silent).values())


def test_a_tied_table_holds_the_same_rows_in_both_places(built: BuildResult) -> None:
    at = Packages(open_built(built.folder), "fp32")
    predictor, output = at.step("predictor"), at.step("output")
    (token,), (p,) = predictor.function.inputs, output.function.inputs
    ids = (3, 50, 95)
    rows = np.array([np.ravel(predictor({token.spec: np.full(token.type.shape, n)})["output"]) for n in ids])
    unit = [np.ravel(output({p.spec: np.eye(32)[n].reshape(p.type.shape)})["output"]) for n in range(32)]
    np.testing.assert_array_equal(rows, np.array(unit)[:, list(ids)].T)


def test_deploy_passes_bring_in_no_number_that_fp16_rounds(root: Path) -> None:
    spec = elaborate_file(root / "spec" / "mct_small.mct", defines={"depth": 1, "width": 64})
    compiled = compile_program(spec, BuildOptions())
    assert print_program(compiled.lowered) == print_program(compiled.deployed)


def test_fp32_artifacts_keep_the_numbers_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "numbers.mct").write_text(SPEC)
    compiled = compile_program(elaborate_file(tmp_path / "numbers.mct"), BuildOptions(precision="fp32"))
    assert compiled.reference is compiled.whole
    assert "factor = 0.1)" in print_program(compiled.deployed)
