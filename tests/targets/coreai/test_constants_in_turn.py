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
