"""Functions that no rule has a say in: taken over as they are, and not verified again."""

from __future__ import annotations

import pytest

from mctc.ir.ops.elementwise import Relu, Tanh
from mctc.ir.text import parse_program
from mctc.ir.verify import VerificationError, verify
from mctc.rewrite.pattern import Pattern, first_of, may_fire
from mctc.rewrite.rewriter import rewrite

TEXT = """function @f(%x: f32[batch 1, channel 4]) { %y = relu(%x) return y = %y }
function @g(%x: f32[batch 1, channel 4]) { %y = tanh(%x) return y = %y }"""

TO_TANH = Pattern(Relu, lambda op, to: to.op(Tanh, to[op.x]))


def test_only_functions_with_ops_of_a_rules_types_are_rebuilt() -> None:
    program = parse_program(TEXT)
    after = rewrite(program, "swap", first_of(TO_TANH))
    assert [op.name for op in after.functions["f"].ops] == ["tanh"]
    assert after.functions["g"].ops[0] is program.functions["g"].ops[0]
    assert after.functions["g"] is not program.functions["g"]


def test_a_rule_that_is_no_pattern_may_fire_anywhere() -> None:
    ops = parse_program(TEXT).functions["g"].ops
    assert not may_fire(TO_TANH, ops)
    assert not may_fire(first_of(TO_TANH), ops)
    assert may_fire(first_of(TO_TANH, lambda op, to: None), ops)


def test_what_a_known_program_lacks_is_verified() -> None:
    known, program = parse_program(TEXT), parse_program(TEXT)
    program.functions["g"].results = []
    program.functions["g"].ops[0].results[0].type = program.functions["f"].inputs[0].type.with_extent(1, 3)
    with pytest.raises(VerificationError):
        verify(program, known)


def test_an_op_that_no_rule_concerns_is_the_same_op_and_its_readers_are_those_of_the_new_one() -> None:
    program = parse_program(
        """function @f(%x: f32[batch 1, channel 4]) {
  %a = tanh(%x)
  %b = relu(%a)
  %c = exp(%b)
  return y = %c
}"""
    )
    after = rewrite(program, "swap", TO_TANH)
    first, second, third = after.functions["f"].ops
    assert first is program.functions["f"].ops[0]
    assert isinstance(second, Tanh)
    assert second.operands == (first.result,)
    assert third is not program.functions["f"].ops[2]
    assert third.operands == (second.result,)
    verify(after)
