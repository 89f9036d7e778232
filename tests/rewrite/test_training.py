"""What ships of a program whose ops act in training alone."""

from __future__ import annotations

from mctc.ir.printer import print_program
from mctc.ir.text import parse_program
from mctc.rewrite.training import without_training

HEAD = "program @m { dim B: batch dim T: time source @w: f32[8, 8] = zeros() param @w"
BEFORE = f"""{HEAD} function @f(%x: f32[batch B, time T, channel 8]) {{
    %w = parameter @w: f32[8, 8]
    %0 = linear(%x, %w) in f
    %1 = dropout(%0, rate = 0.1, kind = utterance) in f
    %2 = add(%x, %1) in f
    %3 = layer_drop(%2, %x, rate = 0.2) in f
    %4 = dropout(%3, rate = 0.1) in f
    return y = %4
}} }}"""
AFTER = f"""{HEAD} function @f(%x: f32[batch B, time T, channel 8]) {{
    %w = parameter @w: f32[8, 8]
    %0 = linear(%x, %w) in f
    %1 = add(%x, %0) in f
    return y = %1
}} }}"""


def test_each_op_that_acts_in_training_alone_is_its_operand() -> None:
    left = without_training(parse_program(BEFORE))
    assert print_program(left, locations=True) == print_program(parse_program(AFTER), locations=True)


def test_a_program_without_such_ops_is_itself() -> None:
    program = parse_program(AFTER)
    assert without_training(program) is program
