"""Batch normalisation becomes arithmetic on weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.driver import build
from mctc.passes.fold_batch_norm import FoldBatchNorm, FoldNumberNorms
from mctc.proof.proof import Proof
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


NUMBERS = """%d = constant [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]: f32[channel 6]
    %e = constant [1.1, 1.2, 1.3, 1.4, 1.5, 1.6]: f32[channel 6]"""


def test_statistics_that_are_numbers_are_folded_before_they_are_rounded(rewrites):
    made, _ = rewrites(FoldNumberNorms, program(NUMBERS + "%y = batch_norm(%z, %d, %e) return out = %y"))
    shift, scale, *_ = (op for op in made.functions["f"].ops if op.name != "parameter")
    assert names(made) == ["constant", "constant", "mul", "add"]
    want = 1 / np.sqrt(np.array([1.1, 1.2, 1.3, 1.4, 1.5, 1.6]) + 1e-5)
    assert np.allclose(np.ravel(scale.value), want, rtol=1e-7)
    assert np.allclose(np.ravel(shift.value), -want * np.arange(1, 7) / 10, rtol=1e-7)


def test_statistics_that_are_trained_wait_for_the_deploy_passes(rewrites):
    made, _ = rewrites(FoldNumberNorms, program("%y = batch_norm(%z, %m, %v, %g, %s) return out = %y"))
    assert names(made) == ["batch_norm"]


def test_a_norm_by_numbers_of_a_file_is_proven(tmp_path: Path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "mean.npy", rng.normal(size=8).astype(np.float32))
    np.save(tmp_path / "variance.npy", rng.uniform(0.1, 2, size=8).astype(np.float32))
    (tmp_path / "m.mct").write_text("""model m(width = 8) {
        dim B: batch
        dim T: time @ 100 Hz
        component c(x: f32[B, T, width]) -> (alone: f32[B, T, width], behind: f32[B, T, width]) {
            mean = constant(file = "mean.npy", shape = [width])
            variance = constant(file = "variance.npy", shape = [width])
            y = linear(x, width, bias = false) as layer
            return op.batch_norm(x, mean, variance, epsilon = 1e-3), op.batch_norm(y, mean, variance)
        }
        stream { chunk = 40 ms }
    }""")
    build(tmp_path / "m.mct", tmp_path / "out")
    assert Proof(tmp_path / "out", runtimes=()).steps("c").ok
