"""A tensor that meets one constant after another: coreai's runtime would combine the two and lose all but one entry."""

from __future__ import annotations

import pytest

from mctc.ir.text import parse_program

from .conftest import Make

X = "f32[batch 1, channel 4, unit 1, time 1]"
CONSTANTS = "%d = parameter @d %k = constant [1.0, 2.0, 3.0]: f32[3]"
CHAINS = {
    "a number, then a vector": "%u = scale(%x, factor = -0.5) %y = mul(%u, %d)",
    "the vector first": "%u = neg(%x) %y = mul(%d, %u)",
    "sums": "%u = scale(%x, offset = 0.5) %y = add(%u, %d)",
    "differences": "%u = scale(%x, factor = -1.0, offset = 0.5) %y = sub(%u, %d)",
    "quotients": "%u = scale(%x, factor = 0.5) %y = div(%u, %d)",
    "a reshape between": """%u = neg(%x) %r = reshape(%u, axes = [batch 1, channel 4, feature 1, time 1])
        %y = mul(%r, %d)""",
    "a number, then what is computed of a vector": "%u = scale(%x, factor = -0.5) %e = exp(%d) %y = mul(%u, %e)",
    "what is computed through a reshape": """%u = neg(%x) %e = exp(%d)
        %r = reshape(%e, axes = [unit 1, channel 4, unit 1, time 1]) %y = sub(%u, %r)""",
    "a vector, then another along other axes": "%u = mul(%x, %d) %y = mul(%u, %k)",
}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_each_constant_counts(make: Make, precision: str) -> None:
    functions = "\n".join(
        f"function @chain{index}(%x: {X}) {{ {CONSTANTS} {ops} return y = %y }}"
        for index, ops in enumerate(CHAINS.values())
    )
    source = "source @d: f32[unit 1, channel 4, unit 1, unit 1] = uniform(bound = 1.0) param @d"
    program = parse_program(f"program @p {{ {source} {functions} }}")
    agreements = make(program, precision=precision).check()
    assert len(agreements) == len(CHAINS)
    assert max(agreement.error for agreement in agreements) <= {"fp32": 1e-6, "fp16": 5e-3}[precision]


TOO_MUCH = {
    "factors, one after the other": "%u = scale(%x, factor = 1000.0) %v = scale(%u, factor = 1000.0) %y = sigmoid(%v)",
    "a vector, then a factor": "%u = mul(%x, %c) %v = scale(%u, factor = 1000.0) %y = tanh(%v)",
    "a factor, then a vector": "%u = scale(%x, factor = 1000.0) %v = mul(%c, %u) %y = tanh(%v)",
    "a floor of what is logged": """%a = abs(%x) %m = clip(%a, low = 0.0009765625, high = 0.01) %r = div(%f, %m)
        %y = scale(%r, factor = 0.0001)""",
    "a quotient by a factor": "%a = abs(%x) %m = clip(%a, low = 800.0, high = 6e4) %u = scale(%m, factor = 0.001)"
    " %y = div(%t, %u)",
    "an inverse, then a factor": "%a = abs(%x) %m = clip(%a, low = 800.0, high = 6e4) %u = scale(%m, factor = 0.001)"
    " %r = reciprocal(%u) %y = scale(%r, factor = 2000.0)",
    "a subnormal factor, then another": "%u = scale(%x, factor = 1.0013580322265625e-05) %y = scale(%u, factor = 1e3)",
    "a factor, then a subnormal one": "%u = scale(%x, factor = 1e4) %y = scale(%u, factor = 4.0054321289062500e-05)",
    "a vector of subnormal numbers, then a factor": "%u = mul(%x, %s) %y = scale(%u, factor = 1e4)",
}


def test_constants_whose_product_fp16_has_no_place_for_stay_apart(make: Make) -> None:
    constants = """%c = constant [3000.0, 4000.0, 5000.0, 6000.0]: f32[channel 4]
        %f = constant 0.0009765625: f32[] %t = constant 2000.0: f32[]
        %s = constant [1.1920928955078125e-06, 2.0e-05, 3.0e-05, 4.0e-05]: f32[channel 4]"""
    functions = "\n".join(
        f"function @chain{index}(%x: {X}) {{ {constants} {ops} return y = %y }}"
        for index, ops in enumerate(TOO_MUCH.values())
    )
    agreements = make(parse_program(f"program @p {{ {functions} }}"), precision="fp16").check()
    assert len(agreements) == len(TOO_MUCH)
    assert not any(agreement.explained for agreement in agreements)
