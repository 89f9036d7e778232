"""Ops that Core ML lacks, before and after."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.passes.legalise import Legalise
from mctc.targets.ane.rules import RULES

ROW = "f32[batch 1, channel 6, unit 1, time 3]"


def program(body: str, type_: str = ROW, weights: str = "") -> str:
    return f"program @m {{ {weights} function @f(%x: {type_}) {{ {body} return out = %y }} }}"


def names(made):
    return [op.name for op in made.functions["f"].ops if op.name != "parameter"]


def test_log_softmax_never_takes_the_exponent_of_a_positive_number(rewrites):
    rewrites(
        Legalise,
        program("%y = log_softmax(%x)"),
        program("""%m = reduce_max(%x, axis = 1) %s = sub(%x, %m) %e = exp(%s)
            %t = reduce_sum(%e, axis = 1) %l = log(%t) %y = sub(%s, %l)"""),
    )


def test_rms_norm_is_a_layer_norm_of_both_signs(rewrites):
    weights = "source @g: f32[6] = normal() param @g"
    made, _ = rewrites(Legalise, program("%w = parameter @g %y = rms_norm(%x, %w, epsilon = 0.001)", weights=weights))
    assert names(made) == ["neg", "concat", "layer_norm", "slice"]
    assert made.parameters["g"].type.shape == (12,)


def test_rms_norm_of_large_activations_stays_finite_in_fp16(rewrites):
    made, _ = rewrites(Legalise, program("%y = rms_norm(%x)"))

    def to_half(op, results):
        for array in results:
            array[...] = array.astype(np.float16)
            assert np.isfinite(array).all()

    x = np.array([3000.0, -2000, 1000, 500, -100, 1]).reshape(1, 6, 1, 1).repeat(3, -1)
    results, _ = evaluate(made.functions["f"], {"x": x}, None, dtype=np.float32, observe=to_half)
    expected = x / np.sqrt(np.mean(x**2, 1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(results["out"], expected, rtol=2e-3)


def test_linear_on_five_axes_is_a_convolution_between_reshapes(rewrites):
    weights = "source @w: f32[4, 6] = normal() param @w"
    type_ = "f32[batch 1, channel 6, feature 2, label 2, time 3]"
    made, _ = rewrites(Legalise, program("%k = parameter @w %y = linear(%x, %k)", type_, weights))
    assert names(made) == ["reshape", "conv2d", "reshape"]


@pytest.mark.parametrize(("rows", "how"), [(5, ""), (2, ", cyclic = true")])
def test_positions_of_known_frames_are_a_parameter(rewrites, rows, how):
    weights = f"source @t: f32[{rows}, 4] = normal() param @t"
    body = (
        f"%t = parameter @t %p = positional_embedding(%x, %t{how}) %s = slice(%x, axis = 1, end = 4) %y = add(%s, %p)"
    )
    made, _ = rewrites(Legalise, program(body, weights=weights))
    assert names(made) == ["slice", "add"]


def test_every_op_it_makes_has_a_core_ml_form(rewrites):
    made, _ = rewrites(Legalise, program("%a = log_softmax(%x) %y = rms_norm(%a)"))
    assert {op.name for op in made.functions["f"].ops} <= set(RULES)
