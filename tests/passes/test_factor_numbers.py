"""Numbers beyond fp16's range are held as products: exact in double precision, finite and close in fp16."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Function
from mctc.ir.text import parse_program
from mctc.passes.factor_numbers import FactorNumbers
from mctc.passes.legalise import Legalise
from mctc.passes.round_numbers import RoundNumbers
from mctc.rewrite.base import Context

from .numbers import battery, exactly, in_half

SHAPE = (1, 6, 1, 12)
X = "%x: f32[batch 1, channel 6, unit 1, time 12]"


def function(body: str, stack: str = "coreml") -> Function:
    """A function as it is deployed."""
    made = parse_program(f"program @m {{ function @f({X}) {{ {body} return y = %y }} }}")
    for each in (RoundNumbers, FactorNumbers, Legalise):
        made = each().run(made, Context(stack=stack))
    return made.functions["f"]


FORMS = {
    "a logarithm": "%a = abs(%x) %s = scale(%a, offset = 1e-10) %y = log(%s)",
    "a logarithm of a square": "%a = square(%x) %h = scale(%a, factor = 0.5) %s = scale(%h, offset = 1e-9)"
    " %y = log(%s)",
    "a logarithm of a bound": "%s = clip(%x, low = 1e-10, high = 1e4) %y = log(%s)",
    "a logarithm over a constant": "%c = constant 1e-8: f32[] %s = maximum(%x, %c) %y = log(%s)",
    "a root": "%a = abs(%x) %s = scale(%a, offset = 1e-12) %y = sqrt(%s)",
    "a quotient": "%a = abs(%x) %s = scale(%a, offset = 1e-12) %y = div(%x, %s)",
    "a quotient by a bound": "%a = abs(%x) %s = clip(%a, low = 1e-9, high = 1e9) %y = div(%x, %s)",
    "a quotient by a square": "%a = square(%x) %s = scale(%a, offset = 1e-9) %y = div(%x, %s)",
    "a quotient by a root": "%a = abs(%x) %s = scale(%a, offset = 1e-9) %r = sqrt(%s) %y = div(%x, %r)",
    "a product with an inverse": "%a = abs(%x) %s = scale(%a, offset = 1e-9) %r = reciprocal(%s) %y = mul(%r, %x)",
    "a product with an inverse root": "%a = abs(%x) %s = scale(%a, offset = 1e-9) %r = rsqrt(%s) %y = mul(%x, %r)",
    "a norm by hand": "%a = mul(%x, %x) %m = reduce_mean(%a, axis = 1) %s = scale(%m, offset = 1e-12) %r = rsqrt(%s)"
    " %y = mul(%x, %r)",
    "a length by hand": "%a = square(%x) %m = reduce_sum(%a, axis = 1) %s = scale(%m, offset = 1e-12) %r = sqrt(%s)"
    " %y = div(%x, %r)",
    "a bounded length": "%a = square(%x) %m = reduce_sum(%a, axis = 1) %r = sqrt(%m)"
    " %s = clip(%r, low = 1e-12, high = 1e5) %y = div(%x, %s)",
    "a length and a floor": "%a = square(%x) %m = reduce_sum(%a, axis = 1) %r = sqrt(%m) %s = scale(%r, offset = 1e-9)"
    " %y = div(%x, %s)",
    "a mean over two axes": "%a = square(%x) %m = reduce_mean(%a, axis = 1) %n = reduce_mean(%m, axis = 2)"
    " %s = scale(%n, offset = 1e-9) %r = rsqrt(%s) %y = mul(%x, %r)",
    "a step": "%a = scale(%x, factor = 1e6) %y = sigmoid(%a)",
    "layer_norm": "%y = layer_norm(%x, epsilon = 1e-12)",
    "layer_norm with the least": "%y = layer_norm(%x, epsilon = 1e-20)",
    "rms_norm": "%y = rms_norm(%x, epsilon = 1e-8)",
}


@pytest.mark.parametrize("stack", ["coreml", "coreai"])
@pytest.mark.parametrize("form", FORMS)
def test_fp16_arithmetic_stays_finite_and_close_on_everything(form: str, stack: str):
    deployed = function(FORMS[form], stack)
    for name, array in battery(SHAPE):
        expected, found = exactly(deployed, {"x": array})["y"], in_half(deployed, {"x": array})["y"]
        assert np.isfinite(found).all(), name
        limit = 0.15 if name == "smallest" else 2e-2  # fp16's smallest numbers have a digit or two
        assert np.abs(found - expected).max() <= limit * max(1.0, np.abs(expected).max()), name


@pytest.mark.parametrize("form", [form for form in FORMS if "norm" not in form or "hand" in form])
def test_in_double_precision_nothing_changes(rewrites, form: str):
    rounded = RoundNumbers().run(
        parse_program(f"program @m {{ function @f({X}) {{ {FORMS[form]} return y = %y }} }}"), Context()
    )
    made = FactorNumbers().run(rounded, Context())
    assert [op.name for op in made.functions["f"].ops] != [op.name for op in rounded.functions["f"].ops]
    for name, array in battery(SHAPE):
        before, after = (exactly(each.functions["f"], {"x": array})["y"] for each in (rounded, made))
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-300, err_msg=name)


def test_the_form_of_a_logarithm(rewrites):
    rewrites(
        FactorNumbers,
        "function @f(%x: f32[channel 4]) { %e = exp(%x) %s = scale(%e, offset = 9.99875737761613e-11) %y = log(%s)"
        " return y = %y }",
        """function @f(%x: f32[channel 4]) {
            %e = exp(%x)
            %f = constant 9.5367431640625e-07 as float64: f32[]
            %a = abs(%e)
            %m = clip(%a, low = 9.5367431640625e-07, high = 65504.0)
            %q = div(%e, %m)
            %r = div(%f, %m)
            %t = scale(%r, factor = 0.00010484457015991211)
            %u = add(%q, %t)
            %v = log(%m)
            %w = log(%u)
            %y = add(%v, %w)
            return y = %y
        }""",
    )


def test_a_number_that_fp16_holds_is_left_as_it_is(rewrites):
    text = "function @f(%x: f32[channel 4]) { %s = scale(%x, offset = 1e-6) %y = log(%s) return y = %y }"
    rewrites(FactorNumbers, text, text)


def test_what_is_deployed_in_fp32_is_left_as_it_is(rewrites):
    text = "function @f(%x: f32[channel 4]) { %s = scale(%x, offset = 1e-12) %y = log(%s) return y = %y }"
    rewrites(FactorNumbers, text, text, precision="fp32")


WIDE = """program @m {{ quantize {{ "wide": f32(bits = 32) }} function @f({X}) {{
    %a = scale(%x, factor = 1e7) in wide
    %b = abs(%a) in wide
    %c = scale(%b, offset = 1e-9) in wide
    %d = log(%c) in {reader}
    %y = scale(%d, factor = 1e-3) in wide
    return y = %y
}} }}"""


LOG = "the logarithm of a product became a sum"


@pytest.mark.parametrize(
    ("stack", "reader", "made"),
    [("coreml", "wide", set()), ("coreml", "narrow", {LOG}), ("coreai", "wide", {"a factor of 1e+07 became two", LOG})],
)
def test_numbers_of_a_part_in_fp32_stay_where_there_are_such_parts(stack: str, reader: str, made: set[str]) -> None:
    program = parse_program(WIDE.format(X=X, reader=reader))
    factored = FactorNumbers().run(program, Context(stack=stack)).functions["f"]
    assert {event.change for op in factored.ops for event in op.origin.history} == made
