"""Biases that make up for rounding: which there are, and that the mean result stays."""

from __future__ import annotations

import numpy as np

from mctc.compress.biases import biases_of
from mctc.compress.exact_sum import ExactSum
from mctc.compress.layers import Layer
from mctc.compress.sensitivity import Model
from mctc.compress.statistics import MEAN, MOMENT, Statistics
from mctc.ir.program import Quantization
from mctc.ir.text import parse_program
from mctc.weights import Weights

PROGRAM = parse_program("""program @m { dim B: batch dim T: time
    source @c.a.weight: f32[8, 6] = normal(std = 0.3) source @c.a.bias: f32[8] = normal(std = 0.1)
    source @c.b.weight: f32[8, 8] = normal(std = 0.3) source @c.d.weight: f32[8, 8] = normal(std = 0.3)
    source @c.shared.bias: f32[8] = normal(std = 0.1)
    source @c.lstm.weight_ih: f32[16, 8] = normal(std = 0.1) source @c.lstm.weight_hh: f32[16, 4] = normal(std = 0.1)
    source @c.lstm.bias: f32[16] = normal(std = 0.1)
    param @c.a.weight param @c.a.bias param @c.b.weight param @c.d.weight param @c.shared.bias
    param @c.lstm.weight_ih param @c.lstm.weight_hh param @c.lstm.bias
    function @c(%x: f32[batch B, time T, channel 6]) {
        %w = parameter @c.a.weight %b = parameter @c.a.bias %a = linear(%x, %w, %b)
        %v = parameter @c.b.weight %s = parameter @c.shared.bias %y = linear(%a, %v, %s)
        %u = parameter @c.d.weight %z = linear(%y, %u, %s)
        %i = parameter @c.lstm.weight_ih %h = parameter @c.lstm.weight_hh %p = parameter @c.lstm.bias
        %l, %n, %m = lstm(%z, %i, %h, %p)
        return out = %l } }""")


def test_a_bias_that_one_op_reads_makes_up_for_its_weights() -> None:
    names = {weight: bias.name for weight, bias in biases_of(PROGRAM).items()}
    lstm = dict.fromkeys(("c.lstm.weight_ih", "c.lstm.weight_hh"), "c.lstm.bias")
    assert names == {"c.a.weight": "c.a.bias", **lstm}


def test_the_mean_result_stays_and_the_cost_is_about_the_mean() -> None:
    inputs = np.random.default_rng(1).normal(0.8, 1, (400, 6))
    statistics = Statistics({}, 1, positions={"c.a.weight": len(inputs)})
    for key, term in ((MEAN, inputs.sum(0)), (MOMENT, inputs.T @ inputs)):
        statistics.sums[key + "c.a.weight"] = ExactSum.like(term)
        statistics.sums[key + "c.a.weight"].add(term)
    form, weights = Quantization("int4", 4), Weights(PROGRAM.sources)
    layer = Layer(PROGRAM.parameters["c.a.weight"], 0, {None: 96, form: 40})
    model = Model([layer], weights, statistics, biases=biases_of(PROGRAM))
    found = model.rounded(layer, form)
    values = model.with_biases({layer.name: found.values})
    was = inputs @ model.value(layer).T + weights.value(PROGRAM.parameters["c.a.bias"])
    now = inputs @ values["c.a.weight"].T + values["c.a.bias"]
    np.testing.assert_allclose(now.mean(0), was.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.cost, 0.5 * ((now - was) ** 2).sum(1).mean(), rtol=1e-4)
    assert set(model.originals(values)) == {"c.a.weight", "c.a.bias"}
    np.testing.assert_array_equal(model.originals(values)["c.a.weight"], model.value(layer))
