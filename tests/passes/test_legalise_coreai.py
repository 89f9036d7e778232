"""Ops that Core AI lacks, or that its Neural Engine refuses, before and after."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.passes.legalise import Legalise

ROW = "f32[batch 1, channel 6, unit 1, time 3]"


def program(body: str, weights: str = "") -> str:
    return f"program @m {{ {weights} function @f(%x: {ROW}) {{ {body} return out = %y }} }}"


def names(made):
    return [op.name for op in made.functions["f"].ops if op.name not in ("parameter", "constant")]


def test_silu_is_a_product_with_a_sigmoid(rewrites):
    after = program("%s = sigmoid(%x) %y = mul(%x, %s)")
    rewrites(Legalise, program("%y = silu(%x)"), after, stack="coreai")


def test_tanh_is_a_sigmoid(rewrites):
    after = program("%d = scale(%x, factor = 2.0) %s = sigmoid(%d) %y = scale(%s, factor = 2.0, offset = -1.0)")
    rewrites(Legalise, program("%y = tanh(%x)"), after, stack="coreai")


@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
def test_a_norm_is_made_of_ops_that_core_ai_has(rewrites, op: str):
    weights = "source @g: f32[6] = normal() param @g"
    made, _ = rewrites(Legalise, program(f"%w = parameter @g %y = {op}(%x, %w)", weights), stack="coreai")
    centred = ["scale", "reduce_mean", "sub"] if op == "layer_norm" else []
    assert names(made) == [
        *centred, "abs", "reduce_max", "maximum", "div", "square", "reduce_mean", "div", "square", "scale", "add",
        "rsqrt", "mul", "mul",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1e-4, 1.0, 3e3, 3e4])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 0.1])
@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
def test_a_norm_of_any_size_is_right_in_fp16(rewrites, op: str, epsilon: float, size: float):
    made, _ = rewrites(Legalise, program(f"%y = {op}(%x, epsilon = {epsilon:.12f})"), stack="coreai")

    def to_half(op, results):
        for array in results:
            array[...] = array.astype(np.float16)
            assert np.isfinite(array).all()

    row = np.array([1.0, -0.75, 0.5, 0.25, -0.125, 0.0])
    x = (row * size).astype(np.float16).astype(np.float64).reshape(1, 6, 1, 1).repeat(3, -1)
    results, _ = evaluate(made.functions["f"], {"x": x}, None, dtype=np.float32, observe=to_half)
    centred = x - x.mean(1, keepdims=True) if op == "layer_norm" else x
    expected = centred / np.sqrt(np.mean(centred**2, 1, keepdims=True) + epsilon)
    np.testing.assert_allclose(results["out"], expected, rtol=0, atol=5e-3 * np.abs(expected).max())


def test_core_ml_keeps_what_it_has(rewrites):
    body = "%a = silu(%x) %b = tanh(%a) %y = layer_norm(%b)"
    made, _ = rewrites(Legalise, program(body), stack="coreml")
    assert names(made) == ["silu", "tanh", "layer_norm"]
