"""What a pass looks at and lets be is recorded with the reason, and the program stays as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from mctc.ir.text import parse_program, print_program
from mctc.passes.activation_forms import ActivationForms
from mctc.passes.drop_unread_frames import DropUnreadFrames
from mctc.passes.hoist_reshape import HoistReshape
from mctc.passes.legalise import Legalise
from mctc.passes.linear_to_conv import LinearToConv
from mctc.passes.lower_attention import LowerAttention
from mctc.passes.lower_embedding import LowerEmbedding
from mctc.passes.lower_rnn import LowerRnn
from mctc.passes.lower_selective_scan import LowerSelectiveScan
from mctc.passes.split_kernels import SplitKernels
from mctc.rewrite.base import Context, Pass

TALL = "f32[batch B, channel 4, unit 1, time T]"
ROW = "f32[batch 1, channel 4, unit 1, time 8]"


@dataclass(frozen=True)
class Case:
    """A program, in the body of a function, and what a pass says of the one op that it lets be."""

    which: type[Pass]
    inputs: str
    body: str
    op: str
    why: str
    context: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.which.name}: {self.why}"


WEIGHTS = "%w: f32[4, 4, 1, 1], %i: f32[8, 4], %h: f32[8, 2], %a: f32[4, 3]"
CASES = (
    Case(
        LinearToConv, "%x: f32[batch B, time T, channel 4], %m: f32[4, 4]", "%y = linear(%x, %m)", "linear",
        "f32[batch B, time T, channel 4] is not (batch, channel, middle, sequence)",
    ),
    Case(
        LowerRnn, f"%x: {TALL}, {WEIGHTS}", "%y, %s, %c = lstm(%x, %i, %h)", "lstm",
        f"{TALL} is not (batch 1, channel, unit, a known number of frames)",
    ),
    Case(
        LowerAttention, f"%x: {TALL}", "%y = attention(%x, %x, %x, heads = 2)", "attention",
        f"{TALL} is not (batch, channel, 1, a known number of frames)",
    ),
    Case(
        LowerSelectiveScan, f"%x: {TALL}, %b: f32[batch B, channel 3, unit 1, time T], {WEIGHTS}",
        "%y, %s = selective_scan(%x, %x, %a, %b, %b)", "selective_scan", f"the extents of {TALL} are not known",
    ),
    Case(
        LowerSelectiveScan,
        "%x: f32[batch 2, channel 4, unit 1, time 8], %b: f32[batch 2, channel 3, unit 1, time 8], %a: f32[4, 3]",
        "%y, %s = selective_scan(%x, %x, %a, %b, %b)", "selective_scan",
        "f32[batch 2, channel 4, unit 1, time 8] is more than one sequence",
    ),
    Case(
        LowerEmbedding, f"%t: i32[batch 1, unit 1, unit 1, label 1], %e: f32[4, 4], %x: {ROW}",
        "%r = embedding(%t, %e) %n = cast(%t, dtype = f32) %y = add(%r, %n)", "embedding",
        "stays int32 with a gather, on the CPU (ANE-OP-022): other ops use the ids too; it can't be left to the app:"
        " other ops use the ids too",
    ),
    Case(
        HoistReshape, f"%x: {ROW}",
        "%p, %q = split(%x, parts = 2) %r = reshape(%p, axes = [batch 1, channel 1, feature 2, time 8])"
        " %s = relu(%q) %t = reduce_sum(%s, axis = channel) %y = add(%r, %t)",
        "split", "part 1 is read by a relu that features do not go into",
    ),
    Case(
        HoistReshape, f"%x: {ROW}, %k: f32[4, 2, 1, 1]",
        "%p, %q = split(%x, parts = 2) %r = reshape(%p, axes = [batch 1, channel 1, feature 2, time 8])"
        " %s = conv2d(%q, %k) %t = reduce_sum(%s, axis = channel) %y = add(%r, %t)",
        "split", "one reshape to features is no more than the one it would take",
    ),
    Case(
        DropUnreadFrames, f"%x: {ROW}, %k: f32[4, 4, 1, 3]",
        "%s = slice(%x, axis = time, end = 7) %y = conv2d(%s, %k, stride = [1, 2], pad = [0, 1])", "conv2d",
        "it pads the frames that its input is cut to",
    ),
    Case(
        DropUnreadFrames, f"%x: {ROW}, %k: f32[4, 4, 1, 3]",
        "%s = slice(%x, axis = time, end = 6) %y = conv2d(%s, %k)", "conv2d",
        "it would read frames that its input is cut to be without",
    ),
    Case(
        SplitKernels, f"%x: {TALL}, %k: f32[4, 4, 1, 40]", "%y = conv2d(%x, %k, pad = [39, 0])", "conv2d",
        "a kernel of 1x40 is too large for H13, but the extents are not known",
    ),
    Case(
        Legalise, f"%x: {TALL}, %m: f32[4, 4]", "%y = linear(%x, %m)", "linear",
        f"{TALL} is not (batch, channel, ..., frames) of known extents",
    ),
    Case(ActivationForms, f"%x: {ROW}", "%y = silu(%x)", "silu", "no tables of activations are published for H13"),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_pass_says_why_it_lets_an_op_be(case: Case) -> None:
    text = f"program @m {{ dim B: batch dim T: time function @f({case.inputs}) {{ {case.body} return y = %y }} }}"
    program, context = parse_program(text), Context(**case.context)
    made = case.which().run(program, context)
    assert print_program(made) == print_program(program)
    assert [(each.by, each.function, each.op, each.why) for each in context.refusals] == [
        (case.which.name, "f", case.op, case.why)
    ]
