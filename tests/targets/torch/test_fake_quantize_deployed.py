"""What fake quantisation gives on a parameter is what the package stores, through all deploy passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mctc.driver.compile import compile_program
from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.ir.program import Derived, Recipe
from mctc.ir.recipes import recipe_key
from mctc.language import elaborate_file
from mctc.recipe_values import apply
from mctc.targets.torch.runtime.fake_quantize import FakeQuantizer, Quantize, set_quantization
from mctc.weights import Weights

SPEC = """
block tied(token: i32[B, U]) {
    param weight: f32[256, 64] = normal(std = 1)
    return op.linear(op.embedding(token, weight), weight)
}

model probe(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 100
    component encoder(x: f32[B, T, width]) -> f32[B, T, V] {
        a = depthwise_conv1d(conv1d(x, 128, 3) as conv, 31) as depthwise
        return linear(gru(lstm(a, 64) as lstm, 64) as gru, V) as out
    }
    component wide(x: f32[B, T, width]) -> f32[B, T, width] {
        return linear(linear(x, 16500) as up, width) as down
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] {
        return linear(embedding(token, V, width) as table, width) as proj
    }
    component output(token: i32[B, U] < 256) -> f32[B, U, 256] {
        return tied(token) as tied
    }
    stream { chunk = 8 frames }
    quantize { wide.**: int4(per_channel); **: SCHEME }
}
"""


@pytest.mark.parametrize("scheme", ["int8(per_channel)", "palette(bits = 4)", "palette(bits = 2, group = 16)"])
def test_deploy_passes_keep_what_a_fake_quantised_parameter_holds(scheme: str, tmp_path: Path) -> None:
    spec = tmp_path / "probe.mct"
    spec.write_text(SPEC.replace("SCHEME", scheme))
    compiled = compile_program(elaborate_file(spec), BuildOptions())
    checked = set()
    for name, parameter in compiled.deployed.parameters.items():
        if parameter.quantization is not None:
            expected = _moved(parameter.recipe, _fake_quantised(compiled, name))
            deployed = Weights(compiled.deployed.sources).deployed(parameter)
            assert deployed.tobytes() == np.ascontiguousarray(expected, np.float32).tobytes()
            checked.add(name)
    assert checked == {name for name, each in compiled.whole.parameters.items() if each.quantization is not None}
    assert len(checked) >= 11


def _fake_quantised(compiled: Compiled, name: str) -> tuple[Recipe, np.ndarray]:
    """A parameter after the common passes, which is what the module holds: its recipe and fake-quantised value."""
    parameter = compiled.whole.parameters[name]
    how = parameter.quantization
    assert how is not None
    value = torch.tensor(Weights(compiled.whole.sources).value(parameter))
    made = FakeQuantizer(Quantize(how.scheme, how.bits, how.group, how.axis))
    set_quantization(made, "on")
    return parameter.recipe, made(value).numpy()


def _moved(recipe: Recipe, start: tuple[Recipe, np.ndarray]) -> np.ndarray:
    """What becomes of a value of the recipe `start` in the recipe that continues it."""
    if recipe_key(recipe) == recipe_key(start[0]):
        return start[1]
    assert isinstance(recipe, Derived)
    (operand,) = recipe.operands
    assert operand is not None
    return np.asarray(apply(recipe, [_moved(operand, start)]))
