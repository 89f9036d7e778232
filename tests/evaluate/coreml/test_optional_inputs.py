"""An input that the model description calls optional may be left out: its default fills its default shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator
from mctc.package import Description, Feature, TensorType, read_package

PROGRAM = """program(1.0)
{
    func main<ios16>(tensor<fp32, [1, 4]> x, tensor<fp32, [1, ?]> gain) {
        tensor<fp32, [1, 4]> y = mul(x = x, y = gain)[name = tensor<string, []>("y")];
    } -> (y);
}
"""
X = np.arange(4, dtype=np.float32)[None]


def evaluator(folder: Path, gain: Feature) -> Evaluator:
    folder = folder / "m.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(PROGRAM)
    x = Feature("x", "tensor", TensorType("fp32", (1, 4)))
    return Evaluator(replace(read_package(folder), descriptions={"main": Description((x, gain), (), ())}))


def test_the_default_fills_what_is_left_out(tmp_path: Path) -> None:
    gain = Feature("gain", "tensor", TensorType("fp32", (1, 4)), optional=True, default=3.0)
    run = evaluator(tmp_path, gain).function()
    np.testing.assert_array_equal(run({"x": X})["y"], 3 * X)
    np.testing.assert_array_equal(run({"x": X, "gain": X})["y"], X * X)


@pytest.mark.parametrize(
    "gain",
    [
        Feature("gain", "tensor", TensorType("fp32", (1, 4)), default=3.0),
        Feature("gain", "tensor", TensorType("fp32", (1, 4)), optional=True),
    ],
    ids=["not optional", "no default"],
)
def test_any_other_input_has_to_be_passed(tmp_path: Path, gain: Feature) -> None:
    with pytest.raises(EvaluationError, match="takes x, gain; missing: gain"):
        evaluator(tmp_path, gain).function()({"x": X})
