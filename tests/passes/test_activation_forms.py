"""silu and sigmoid take the form that the engine's tables compute best, where these are published."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.engine.activations import HALVES, activate
from mctc.passes.activation_forms import FORMS, ActivationForms, best, largest_error

SILU = "program @m { function @f(%x: f32[batch 1, channel 4]) { %y = silu(%x) return y = %y } }"
BY_TANH = (
    "program @m { function @f(%x: f32[batch 1, channel 4]) { %h = scale(%x, factor = 0.5) %t = tanh(%h)"
    " %m = mul(%h, %t) %y = add(%h, %m) return y = %y } }"
)

BY_ERF = (
    "program @m { function @f(%x: f32[batch 1, channel 4]) { %s = scale(%x, factor = 0.7071067811865476) %e = erf(%s)"
    " %h = scale(%e, factor = 0.5, offset = 0.5) %y = mul(%x, %h) return y = %y } }"
)


@pytest.mark.parametrize("device", ["m6", "a19", "H18"])
def test_silu_is_written_by_tanh_for_chips_with_published_tables(rewrites, device):
    _, context = rewrites(ActivationForms, SILU, BY_TANH, device=device)
    ((by, where, why),) = context.explanations
    assert (by, where) == ("activation-forms", "silu")
    assert why.startswith("by tanh: the largest errors on the engine are by its table 1.5e-02, by sigmoid")


def test_gelu_is_written_by_erf(rewrites):
    _, context = rewrites(ActivationForms, SILU.replace("silu", "gelu"), BY_ERF, device="m6")
    ((_, where, why),) = context.explanations
    assert where == "gelu"
    assert why.startswith("by erf: the largest errors on the engine are by its table 6.2e-03, by erf 1.9e-03")


def test_sigmoid_is_written_by_tanh_and_other_ops_stay(rewrites):
    text = SILU.replace("%y = silu(%x)", "%s = sigmoid(%x) %y = relu(%s)")
    made, _ = rewrites(ActivationForms, text, device="m6")
    assert [op.name for op in made.functions["f"].ops] == ["scale", "tanh", "scale", "relu"]


@pytest.mark.parametrize(
    "options", [{}, {"device": "m1"}, {"device": "m4"}, {"device": "m6", "stack": "coreai"},
                {"device": "m6", "precision": "fp32"}],
)  # fmt: skip
def test_elsewhere_activations_stay_as_they_are(rewrites, options):
    rewrites(ActivationForms, SILU, SILU, **options)


def test_the_largest_errors_are_those_of_the_engine_s_tables():
    assert largest_error("silu", "by its table") == pytest.approx(1.491e-2, rel=1e-3)
    assert largest_error("sigmoid", "by its table") == pytest.approx(3.355e-3, rel=1e-3)
    assert largest_error("gelu", "by its table") == pytest.approx(6.159e-3, rel=1e-2)
    for name, form in (("silu", "by tanh"), ("sigmoid", "by tanh"), ("gelu", "by erf")):
        assert best(name).name == form
        assert largest_error(name, form) < largest_error(name, "by its table") / 3


def test_a_form_is_computed_by_the_ops_that_it_is_written_in():
    """sigmoid by tanh, op by op."""
    x = HALVES[np.abs(HALVES) <= 10].astype(np.float32)
    (form,) = (each for each in FORMS["sigmoid"] if each.name == "by tanh")
    half = activate("tanh", (x / 2).astype(np.float16).astype(np.float32)).astype(np.float64) / 2 + 0.5
    assert np.abs(form.computed(x) - half).max() <= 2.0**-11
