"""Numbers of a program are those of fp16 before it is deployed, and one that can't be is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.text import parse_program
from mctc.passes.numbers.substitutes import MASK
from mctc.passes.round_numbers import RoundNumbers
from mctc.rewrite.base import Context

from .numbers import exactly, in_half

X = "%x: f32[batch B, channel 4, unit 1, time T]"


def program(body: str, result: str = "%y", more: str = "", inputs: str = X) -> str:
    return f"program @m {{ dim B: batch dim T: time {more} function @f({inputs}) {{ {body} return out = {result} }} }}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("scale(%x, factor = 0.1, offset = 0.3)", "scale(%x, factor = 0.0999755859375, offset = 0.300048828125)"),
        ("clip(%x, low = 0.1, high = 6.1)", "clip(%x, low = 0.0999755859375, high = 6.1015625)"),
        ("pad(%x, axis = 3, after = 1, value = 0.7)", "pad(%x, axis = 3, after = 1, value = 0.7001953125)"),
        ("layer_norm(%x, epsilon = 1e-6)", "layer_norm(%x, epsilon = 1.0132789611816406e-06)"),
        ("scale(%x, factor = 3001.0)", "scale(%x, factor = 3000.0)"),
        ("scale(%x, factor = 0.25, offset = 2048.0)", "scale(%x, factor = 0.25, offset = 2048.0)"),
    ],
)
def test_numbers_become_those_of_fp16(rewrites, before: str, after: str):
    rewrites(RoundNumbers, program(f"%y = {before}"), program(f"%y = {after}"))


def test_constants_become_those_of_fp16_and_keep_small_entries_beside_large_ones(rewrites):
    made, _ = rewrites(RoundNumbers, program("%c = constant [0.1, 3.0, 1e-12, -0.1]: f32[channel 4] %y = add(%x, %c)"))
    held = next(op for op in made.functions["f"].ops if op.name == "constant").attributes["value"]
    assert held.tolist() == np.asarray([0.1, 3, 0, -0.1]).astype(np.float16).astype(held.dtype).tolist()


def test_the_factor_that_attention_takes_by_itself_is_one_of_its_numbers(rewrites):
    wide = "f32[batch B, channel 48, unit 1, time T]"
    inputs = f"%q: {wide}, %k: {wide}, %v: {wide}"
    made, _ = rewrites(RoundNumbers, program("%y = attention(%q, %k, %v, heads = 2)", inputs=inputs))
    (op,) = made.functions["f"].ops
    assert op.attributes["scale"] == float(np.float16(24**-0.5))


def test_what_fp16_holds_and_what_is_deployed_in_fp32_stays(rewrites):
    exact = program("%y = scale(%x, factor = 0.5, offset = -3.0)")
    rewrites(RoundNumbers, exact, exact)
    other = program("%y = scale(%x, factor = 1e-9)")
    rewrites(RoundNumbers, other, other, precision="fp32")


def test_arithmetic_on_weights_is_left_to_the_weight_that_comes_of_it(rewrites):
    weights = "source @w: f32[4, 1, 1] = normal() param @w"
    text = program(
        "%w = parameter @w %c = constant 1e-9: f32[] %a = scale(%w, factor = 0.1, offset = 1e-12) %s = mul(%a, %c)"
        " %y = add(%x, %s)",
        more=weights,
    )
    rewrites(RoundNumbers, text, text)


MASKS = [
    "%k = scale(%keep, offset = -1.0) %m = scale(%k, factor = 1e9) %s = add(%x, %m) %y = softmax(%s)",
    "%k = scale(%keep, factor = 1e30, offset = -1e30) %s = add(%x, %k) %r = scale(%s, factor = 0.125) %y = softmax(%r)",
    "%c = constant [0.0, -1e9, 0.0, -1e9]: f32[channel 4] %s = add(%x, %c) %y = softmax(%s)",
    "%k = scale(%keep, factor = 1e9, offset = -1e9) %s = minimum(%x, %k) %y = sigmoid(%s)",
    "%k = scale(%keep, offset = -1.0) %c = constant 1e9: f32[] %m = mul(%k, %c) %s = sub(%x, %m) %y = exp(%s)",
    "%k = scale(%keep, factor = 1e9, offset = -1e9) %r = reverse(%k) %s = add(%x, %r) %y = softmax(%s)",
]


@pytest.mark.parametrize("body", MASKS)
def test_a_mask_is_as_large_as_can_be(rewrites, body: str):
    made, _ = rewrites(RoundNumbers, program(body, inputs=f"{X}, {X.replace('%x', '%keep')}"))
    numbers = [abs(value) for op in made.functions["f"].ops for value in (*op.attributes.values(),)
               if isinstance(value, float)]  # fmt: skip
    arrays = [np.abs(op.attributes["value"]).max() for op in made.functions["f"].ops if op.name == "constant"]
    assert max([*numbers, *arrays]) == MASK


@pytest.mark.parametrize("body", MASKS[:3])
def test_a_mask_hides_what_it_did(body: str):
    before = parse_program(program(body, inputs=f"{X}, {X.replace('%x', '%keep')}"))
    after = RoundNumbers().run(before, Context())
    rng = np.random.default_rng(0)
    x, keep = rng.normal(size=(1, 4, 1, 6)) * 10, np.tile([[[[1.0]], [[0.0]], [[1.0]], [[0.0]]]], (1, 1, 1, 6))
    inputs = {"x": x.astype(np.float16).astype(np.float64), "keep": keep}
    expected, deployed = exactly(before.functions["f"], inputs), after.functions["f"]
    np.testing.assert_array_equal(exactly(deployed, inputs)["out"], expected["out"])
    np.testing.assert_allclose(in_half(deployed, inputs)["out"], expected["out"], atol=2e-3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("clip(%x, low = -1e9, high = 1e30)", "clip(%x, low = -65504.0, high = 65504.0)"),
        ("pad(%x, axis = 1, after = 1, value = -1e9)", "pad(%x, axis = 1, after = 1, value = -65504.0)"),
        ("scale(%x, factor = 1e6)", "scale(%x, factor = 999936.0)"),
        ("layer_norm(%x, epsilon = 1e-12)", "layer_norm(%x, epsilon = 1.000088900582341e-12)"),
        ("layer_norm(%x, epsilon = 1e-30)", "layer_norm(%x, epsilon = 9.094947017729282e-13)"),
        ("scale(%x, offset = 1e-10)", "scale(%x, offset = 9.99875737761613e-11)"),
    ],
)
def test_what_has_another_form_is_held_as_its_digits_are(rewrites, before: str, after: str):
    ends = {"pad": "reduce_max(%a, axis = 1)", "scale": "sqrt(%a)"}
    end = ends.get(before.split("(")[0], "sigmoid(%a)") if "factor" not in before else "sigmoid(%a)"
    rewrites(RoundNumbers, program(f"%a = {before} %y = {end}"), program(f"%a = {after} %y = {end}"))


REFUSED = {
    "%y = scale(%x, factor = 1e-9)": "1e-09 of `scale` (factor)",
    "%a = scale(%x, factor = 1e6) %y = softmax(%a)": "1e+06 of `scale` (factor)",
    "%y = scale(%x, factor = 1e12)": "1e+12 of `scale` (factor)",
    "%y = scale(%x, offset = 1e-9)": "1e-09 of `scale` (offset)",
    "%a = scale(%x, offset = 1e-9) %r = relu(%a) %y = log(%r)": "1e-09 of `scale` (offset)",
    "%a = scale(%x, offset = 1e-20) %y = log(%a)": "1e-20 of `scale` (offset)",
    "%a = scale(%x, offset = 1e-9) %y = reciprocal(%a)": "1e-09 of `scale` (offset)",
    "%y = scale(%x, offset = -1e9)": "-1e+09 of `scale` (offset)",
    "%m = scale(%x, offset = -1e9) %a = add(%x, %m) %y = log_softmax(%a)": "-1e+09 of `scale` (offset)",
    "%y = clip(%x, low = 1e-9, high = 1.0)": "1e-09 of `clip` (low)",
    "%c = constant [1e5, 0.0, 0.0, 0.0]: f32[channel 4] %y = add(%x, %c)": "100000 of `constant`",
    "%c = constant [1e-9, 1e-9, 0.0, 0.0]: f32[channel 4] %y = mul(%x, %c)": "1e-09 of `constant`",
    "%y = pad(%x, axis = 1, after = 1, value = 1e-9)": "1e-09 of `pad` (value)",
}


@pytest.mark.parametrize(("body", "told"), REFUSED.items())
def test_what_has_no_form_is_refused_at_its_place(body: str, told: str):
    placed = re.sub(r"(scale\([^)]*\)|clip\([^)]*\)|pad\([^)]*\)|f32\[channel 4\])", r'\1 at "m.mct":3:7', body)
    with pytest.raises(DiagnosticError) as caught:
        RoundNumbers().run(parse_program(program(placed)), Context())
    (found,) = caught.value.diagnostics
    assert found.code == "MCT0208"
    assert told in found.message
    assert found.hint
    assert "m.mct:3:7" in caught.value.render()


def test_large_changes_are_told(rewrites):
    _, context = rewrites(RoundNumbers, program("%a = layer_norm(%x, epsilon = 1e-7) %y = scale(%a, offset = 4097.0)"))
    assert [why for _, _, why in context.explanations] == [
        "layer_norm: epsilon 1e-07 is 1.19209e-07 in fp16",
        "scale: offset 4097 is 4096 in fp16",
    ]


def test_rounding_twice_is_rounding_once():
    text = program(
        "%a = layer_norm(%x, epsilon = 1e-12) %b = scale(%a, offset = 1e-9) %c = log(%b) %y = scale(%c, factor = 0.1)"
    )
    once = RoundNumbers().run(parse_program(text), Context())
    twice = RoundNumbers().run(once, Context())
    pairs = zip(once.functions["f"].ops, twice.functions["f"].ops)
    assert all(a.attributes == b.attributes for a, b in pairs)
