"""Long sums are scaled by a power of two, where it is asked for and the engine's sums are published."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.engine.accumulator import Matrices, products
from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.passes.scale_sums import ScaleSums, decibels

INPUTS = "%x: f32[batch 1, channel 512, unit 1, time 2], %w: f32[4, 512, 1, 1], %b: f32[4]"
BODY = "%y = conv2d(%x, %w, %b)"
SCALED = (
    "%c = scale(%b, factor = 16.0) %s = scale(%x, factor = 16.0) %m = conv2d(%s, %w, %c)"
    " %y = scale(%m, factor = 0.0625)"
)


def program(body: str, inputs: str = INPUTS) -> str:
    return f"program @m {{ function @f({inputs}) {{ {body} return y = %y }} }}"


@pytest.mark.parametrize("device", ["m4", "m6", "a17 pro"])
def test_a_long_sum_is_scaled_and_scaled_back(rewrites, device):
    _, context = rewrites(ScaleSums(by=4), program(BODY), program(SCALED), device=device)
    ((by, where, why),) = context.explanations
    assert (by, where) == ("scale-sums", "f")
    assert why == (
        "sums of 512 products of numbers of 1/16: 50.2 dB on the engine, 70.9 dB times 2^4; infinite from 2048 on"
    )


def test_a_linear_layer_without_bias_is_one_too(rewrites):
    inputs = "%x: f32[batch 1, time 2, channel 512], %w: f32[4, 512]"
    after = "%s = scale(%x, factor = 64.0) %m = linear(%s, %w) %y = scale(%m, factor = 0.015625)"
    rewrites(ScaleSums(by=6), program("%y = linear(%x, %w)", inputs), program(after, inputs), device="m6")


def test_so_is_a_product_with_weights_and_none_with_another_value(rewrites):
    def text(body: str) -> str:
        inputs = "%x: f32[batch 1, time 2, unit 1, channel 512], %v: f32[4, 512]"
        known = "source @w: f32[4, 512] = normal() param @w"
        return f"program @m {{ {known} function @f({inputs}) {{ %w = parameter @w {body} return y = %y, z = %z }} }}"

    other = "%z = matmul(%x, %v, transpose_right = true)"
    before = text(f"%y = matmul(%x, %w, transpose_right = true) {other}")
    after = "%s = scale(%x, factor = 16.0) %m = matmul(%s, %w, transpose_right = true) %y = scale(%m, factor = 0.0625)"
    rewrites(ScaleSums(by=4), before, text(f"{after} {other}"), device="m6")


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (BODY, INPUTS.replace("512", "511")),
        ("%n = layer_norm(%x) %y = conv2d(%n, %w, %b)", INPUTS),
        ("%n = layer_norm(%x) %s = slice(%n, axis = 3, end = 1) %y = conv2d(%s, %w, %b)", INPUTS),
        ("%q = fake_quantize(%x, %a) %y = conv2d(%q, %w, %b)", f"{INPUTS}, %a: f32[]"),
    ],
    ids=["a short sum", "behind a norm", "behind a norm, moved", "sums of whole numbers"],
)
def test_other_sums_stay(rewrites, body, inputs):
    _, context = rewrites(ScaleSums(by=4), program(body, inputs), program(body, inputs), device="m6")
    assert not context.explanations
    assert not context.refusals


def test_unasked_it_says_what_it_would_regain(rewrites):
    _, context = rewrites(ScaleSums, program(BODY), program(BODY), device="m6")
    (refused,) = context.refusals
    assert refused.why.endswith("50.2 dB on the engine; --pass 'scale-sums{by=4}' regains 70.9 dB times 2^4")


@pytest.mark.parametrize(
    ("options", "refused"),
    [({"device": "m1"}, "no sums are published for H13"), ({"device": "m6", "stack": "coreai"}, None),
     ({"device": "m6", "precision": "fp32"}, None)],
)  # fmt: skip
def test_elsewhere_sums_stay_as_they_are(rewrites, options, refused):
    _, context = rewrites(ScaleSums(by=4), program(BODY), program(BODY), **options)
    assert [each.why for each in context.refusals] == ([refused] if refused else [])
    _, context = rewrites(ScaleSums, program(BODY), program(BODY), device="m1")
    assert not context.refusals


def test_the_engine_regains_the_decibels_on_other_numbers_than_those_of_the_reason():
    """Uniform numbers with a bias: the sums scaled are as near as fp16 has them, the others are not."""
    random = np.random.default_rng(3)
    x = (random.uniform(-1, 1, (1, 640, 32)) / 8).astype(np.float16).astype(np.float32)
    weights = (random.standard_normal((1, 8, 640)) / 40).astype(np.float16).astype(np.float32)
    bias = (random.standard_normal((1, 8)) / 64).astype(np.float16).astype(np.float32)
    exact = weights.astype(np.float64) @ x + bias[..., None]

    def noise(power: float) -> float:
        sums = products(Matrices.of(weights), x * np.float32(power), bias * np.float32(power)) / np.float32(power)
        return 10 * np.log10(np.square(exact).sum() / np.square(sums - exact).sum())

    assert noise(1.0) < 60
    assert noise(16.0) > noise(1.0) + 10
    assert decibels(640, 8) > decibels(640, 4) > decibels(640) + 15


def test_a_power_of_two_changes_no_bit_of_the_result(rewrites):
    made, _ = rewrites(ScaleSums(by=8), program(BODY), device="m6")
    random, before = np.random.default_rng(5), parse_program(program(BODY))
    shapes = {"x": (1, 512, 1, 2), "w": (4, 512, 1, 1), "b": (4,)}
    given = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    results = [evaluate(each.functions["f"], given, lambda name: np.zeros(0))[0]["y"] for each in (before, made)]
    np.testing.assert_array_equal(*results)


def test_a_sum_that_was_finite_can_overflow():
    """Which is why it is asked for: 32 times 128 twice is 8192, times 16 beyond the accumulator."""
    x, weights = np.full((1, 2, 1), 32, np.float32), np.full((1, 1, 2), 128, np.float32)
    assert products(Matrices.of(weights), x) == 8192
    assert products(Matrices.of(weights), x * np.float32(16)) == np.inf
