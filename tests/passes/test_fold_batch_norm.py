"""Batch normalisation becomes arithmetic on weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.passes.fold_batch_norm import FoldBatchNorm
from mctc.weights import Weights

STATISTICS = """
    source @bn.mean: f32[6] = normal() source @bn.variance: f32[6] = ones()
    source @bn.weight: f32[6] = normal() source @bn.bias: f32[6] = normal()
    param @bn.mean param @bn.variance param @bn.weight param @bn.bias
"""
LOADED = "%m = parameter @bn.mean %v = parameter @bn.variance %g = parameter @bn.weight %s = parameter @bn.bias"


def program(body: str, convolution: str = "") -> str:
    return f"""program @m {{ dim B: batch dim T: time source @c.weight: f32[6, 4, 1, 3] = normal() param @c.weight
        {STATISTICS} {convolution}
        function @f(%x: f32[batch B, channel 4, unit 1, time T], %z: f32[batch B, channel 6, unit 1, time T]) {{
            %w = parameter @c.weight {LOADED} {body}
        }} }}"""


def names(program):
    return [op.name for op in program.functions["f"].ops if op.name != "parameter"]


def test_it_folds_into_the_convolution_before_it(rewrites):
    bias = "source @c.bias: f32[6] = normal() param @c.bias"
    body = """%b = parameter @c.bias
        %c = conv2d(%x, %w, %b, pad = [1, 1])
        %y = batch_norm(%c, %m, %v, %g, %s)
        return out = %y"""
    made, _ = rewrites(FoldBatchNorm, program(body, bias))
    assert names(made) == ["conv2d"]
    assert set(made.parameters) == {"c.weight", "c.bias"}


def test_a_convolution_without_bias_gets_the_shift_as_its_bias(rewrites):
    body = "%c = conv2d(%x, %w, pad = [1, 1]) %y = batch_norm(%c, %m, %v, %g, %s) return out = %y"
    made, _ = rewrites(FoldBatchNorm, program(body))
    assert names(made) == ["conv2d"]
    assert set(made.parameters) == {"c.weight", "bn.bias"}


def test_without_gain_and_shift_the_mean_becomes_the_bias(rewrites):
    body = "%c = conv2d(%x, %w, pad = [1, 1]) %y = batch_norm(%c, %m, %v, epsilon = 0.001) return out = %y"
    made, _ = rewrites(FoldBatchNorm, program(body))
    assert names(made) == ["conv2d"]
    assert set(made.parameters) == {"c.weight", "bn.mean"}


def test_a_convolution_that_others_read_is_left_alone(rewrites):
    body = "%c = conv2d(%x, %w, pad = [1, 1]) %y = batch_norm(%c, %m, %v, %g, %s) %r = add(%y, %c) return out = %r"
    made, context = rewrites(FoldBatchNorm, program(body))
    assert names(made) == ["conv2d", "mul", "add", "add"]
    assert [each.why for each in context.refusals] == ["something else reads the conv2d before it"]


def test_alone_it_is_a_scale_and_a_shift_for_each_channel(rewrites):
    made, _ = rewrites(FoldBatchNorm, program("%y = batch_norm(%z, %m, %v, %g, %s) return out = %y"))
    assert names(made) == ["mul", "add"]
    assert [parameter.type.shape for parameter in made.parameters.values()] == [(6, 1, 1), (6, 1, 1)]


def test_a_checkpoint_is_read_through_the_folding(rewrites, tmp_path: Path):
    body = "%c = conv2d(%x, %w, pad = [1, 1]) %y = batch_norm(%c, %m, %v, %g, %s, epsilon = 1.0) return out = %y"
    made, _ = rewrites(FoldBatchNorm, program(body))
    shapes = {"c.weight": (6, 4, 1, 3), "bn.mean": (6,), "bn.variance": (6,), "bn.weight": (6,), "bn.bias": (6,)}
    save_file({name: np.full(shape, 3, np.float32) for name, shape in shapes.items()}, tmp_path / "m.safetensors")
    weights = Weights.load(made, tmp_path / "m.safetensors")
    assert np.allclose(weights.value(made.parameters["c.weight"]), 3 * 3 / 2)
    assert np.allclose(weights.value(made.parameters["bn.bias"]), 3 - 3 * 3 / 2)


def test_a_compressed_weight_stays_as_it_was_trained(rewrites):
    body = "%c = conv2d(%x, %w, pad = [1, 1]) %y = batch_norm(%c, %m, %v, %g, %s) return out = %y"
    text = program(body).replace("param @c.weight", "param @c.weight as int8(bits = 8)")
    made, context = rewrites(FoldBatchNorm, text)
    assert names(made) == ["conv2d", "mul", "add"]
    (refused,) = context.refusals
    assert refused.why == "the weight of the conv2d before it is stored as int8, and its codes stay as trained"
    assert made.parameters["c.weight"].quantization is not None
