"""Patterns are rewrites on typed ops; what they let go of is recorded with the reason."""

from __future__ import annotations

from mctc.ir.op import Op
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.shape import Reshape
from mctc.ir.program import Program, Value
from mctc.ir.text import parse_program
from mctc.rewrite.base import Context
from mctc.rewrite.pattern import Outcome, Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

TEXT = """program @m { dim B: batch dim T: time
    function @f(%x: f32[batch B, time T, channel 4], %w: f32[4, 4], %b: f32[4]) {
        %y = linear(%x, %w)
        %z = linear(%y, %w, %b)
        %out = relu(%z)
        return out = %out
    } }"""


def names(program: Program) -> list[str]:
    return [op.name for op in program.functions["f"].ops]


def unbiased(op: Linear, to: Rewriter) -> Outcome:
    """A linear layer of a linear layer without a bias is one less."""
    match op:
        case Linear(x=Value(owner=Linear(bias=None) as inner)):
            to.note("two layers became one")
            return to.op("linear", to[inner.x], to[op.weight], to.maybe(op.bias))
        case Linear(x=Value(owner=Linear())):
            return Refuse("the layer before it has a bias")
    return None


def test_a_pattern_sees_ops_of_its_type_alone_and_matches_a_tree_of_them() -> None:
    made = rewrite(parse_program(TEXT), "merge", Pattern(Linear, unbiased))
    assert names(made) == ["linear", "relu"]
    assert [event.change for event in made.functions["f"].ops[0].origin.history] == ["two layers became one"]


def test_a_refusal_keeps_the_op_and_is_recorded_with_its_reason() -> None:
    context, program = Context(), parse_program(TEXT.replace("linear(%x, %w)", "linear(%x, %w, %b)"))
    made = rewrite(program, "merge", Pattern(Linear, unbiased), context=context)
    assert made.functions["f"].ops == program.functions["f"].ops
    assert [(each.by, each.function, each.op, each.why) for each in context.refusals] == [
        ("merge", "f", "linear", "the layer before it has a bias")
    ]


def test_the_first_rule_that_rewrites_wins_and_what_those_before_it_refuse_is_told() -> None:
    def never(op: Linear, to: Rewriter) -> Outcome:
        return Refuse("never")

    def as_scale(op: Op, to: Rewriter) -> Outcome:
        return to.op("scale", to[op.operands[0]], factor=1.0) if op.operands[0] else None

    context, rule = Context(), first_of(Pattern(Reshape, as_scale), Pattern(Linear, never), Pattern(Linear, as_scale))
    made = rewrite(parse_program(TEXT), "try", rule, context=context)
    assert names(made) == ["scale", "scale", "relu"]
    assert [each.why for each in context.refusals] == ["never", "never"]
