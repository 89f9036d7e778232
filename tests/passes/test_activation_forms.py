"""silu and sigmoid take the form that the engine's tables compute best, where these are published."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.engine.activations import HALVES, activate
from mctc.evaluate.reference import evaluate
from mctc.passes.activation_forms import EXACT, FORMS, ActivationForms, best, decibels, largest_error

SILU = "program @m { function @f(%x: f32[batch 1, channel 4]) { %y = silu(%x) return y = %y } }"
BY_EXP = (
    "program @m { function @f(%x: f32[batch 1, channel 4]) { %a = abs(%x) %n = scale(%a, factor = -1.0) %e = exp(%n)"
    " %s = scale(%e, offset = 1.0) %i = reciprocal(%s) %r = relu(%x) %m = mul(%n, %e) %t = mul(%m, %i)"
    " %y = add(%r, %t) return y = %y } }"
)
BY_TANH = (
    "program @m { function @f(%x: f32[batch 1, channel 4]) { %h = scale(%x, factor = 0.5) %t = tanh(%h)"
    " %m = mul(%h, %t) %y = add(%h, %m) return y = %y } }"
)
BY_ERF = (
    "program @m { function @f(%x: f32[batch 1, channel 4]) { %s = scale(%x, factor = 0.7071067811865476) %e = erf(%s)"
    " %h = scale(%e, factor = 0.5, offset = 0.5) %y = mul(%x, %h) return y = %y } }"
)


@pytest.mark.parametrize("device", ["m6", "a19", "H18"])
def test_silu_is_written_by_exp_for_chips_with_published_tables(rewrites, device):
    _, context = rewrites(ActivationForms, SILU, BY_EXP, device=device)
    ((by, where, why),) = context.explanations
    assert (by, where) == ("activation-forms", "f")
    assert why.startswith("silu by exp, 9 ops: on the engine by its table 32.8 dB, by sigmoid 49.7 dB, by tanh 62.2 dB")


def test_the_reason_is_given_once_where_it_is_needed(rewrites):
    text = SILU.replace("%y = silu(%x)", "%s = silu(%x) %t = silu(%s) %y = sigmoid(%t)")
    _, context = rewrites(ActivationForms, text, device="m6")
    assert [why.split(",")[0] for _, _, why in context.explanations] == ["silu by exp", "sigmoid by exp"]


@pytest.mark.parametrize(("most", "names"), [(8, "by tanh"), (4, "by tanh"), (3, "by sigmoid"), (1, "by its table")])
def test_no_form_has_more_ops_than_asked_for(rewrites, most, names):
    assert best("silu", most).name == names
    _, context = rewrites(ActivationForms(most=most), SILU, BY_TANH if most >= 4 else None, device="m6")
    assert f"{names}, " in context.explanations[0][2]
    assert f" of {most} or fewer: on the engine" in context.explanations[0][2]


def test_gelu_is_written_by_erf(rewrites):
    _, context = rewrites(ActivationForms, SILU.replace("silu", "gelu"), BY_ERF, device="m6")
    ((_, where, why),) = context.explanations
    assert where == "f"
    assert why.startswith("gelu by erf, 5 ops: on the engine by its table")
    assert why.endswith("largest error 1.9e-03")


def test_sigmoid_is_written_by_exp_and_other_ops_stay(rewrites):
    text = SILU.replace("%y = silu(%x)", "%s = sigmoid(%x) %y = relu(%s)")
    made, _ = rewrites(ActivationForms, text, device="m6")
    assert [op.name for op in made.functions["f"].ops] == [
        "abs", "scale", "exp", "scale", "reciprocal", "relu", "sub", "exp", "mul", "relu",
    ]  # fmt: skip


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
    for name, form in (("silu", "by exp"), ("sigmoid", "by exp"), ("gelu", "by erf")):
        assert best(name).name == form
        assert largest_error(name, form) < largest_error(name, "by its table") / 3
        assert decibels(name, form) > decibels(name, "by its table") + 10


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_equal_in_exact_numbers(rewrites, name):
    """Over all that fp16 holds, where exp goes beyond what fp32 holds, too."""
    text = SILU.replace("silu", name).replace("channel 4", "channel 42")
    x = np.array([0.0, -1e-7, 3.0, -3.0, 10.9, -11.5, 89.0, -89.0, 65504.0, -65504.0, *np.linspace(-9, 9, 32)])
    with np.errstate(over="ignore"):
        wanted = EXACT[name](x)
        for form in FORMS[name]:
            made, _ = rewrites(ActivationForms(most=form.ops), text, device="m6")
            found, _ = evaluate(made.functions["f"], {"x": x[None]}, lambda name: np.zeros(0))
            np.testing.assert_allclose(found["y"][0], wanted, rtol=1e-12, atol=1e-12)


def test_a_form_is_computed_by_the_ops_that_it_is_written_in():
    """sigmoid by tanh, op by op; silu by exp at numbers whose exponential fp16 doesn't hold."""
    x = HALVES[np.abs(HALVES) <= 10].astype(np.float32)
    (form,) = (each for each in FORMS["sigmoid"] if each.name == "by tanh")
    half = activate("tanh", (x / 2).astype(np.float16).astype(np.float32)).astype(np.float64) / 2 + 0.5
    assert np.abs(form.computed(x) - half).max() <= 2.0**-11
    (form,) = (each for each in FORMS["silu"] if each.name == "by exp")
    far = np.array([12.0, 100.0, 30000.0], np.float32)
    np.testing.assert_array_equal(form.computed(far), far)
    assert (np.abs(form.computed(-far)) < 1e-4).all()
