"""What programs are compared on."""

from __future__ import annotations

import numpy as np

from mctc.ir.text import parse_program
from mctc.rewrite.validate import random_inputs

PROGRAM = """function @f(%x: f32[batch B, time T, channel 8], %m: f32[time T], %n: f32[time T]) {
    %a = attention(%x, %x, %x, %m, heads = 2)
    %b = attention(%x, %x, %x, %n, heads = 2)
    %c = mul(%b, %n)
    return a = %a, c = %c
}"""


def test_an_input_that_is_only_a_mask_is_drawn_as_zeros_and_ones() -> None:
    inputs = random_inputs(parse_program(PROGRAM).functions["f"], {"B": 2, "T": 16}, seed=0)
    assert set(np.unique(inputs["m"])) == {0, 1}
    assert len(np.unique(inputs["n"])) == 16
