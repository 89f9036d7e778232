"""Which inputs have to be ones and zeros: the masks of ops, and what masks are made of."""

from __future__ import annotations

import pytest

from mctc.ir.domain import Choices
from mctc.ir.masks import mask_domains, masks
from mctc.ir.text import parse_program

PROGRAM = """
function @f(%x: f32[batch B, time T, channel 4], %m: {type}, %n: f32[batch B, time T]) {{
  {lines}
  %y = attention(%x, %x, %x, %mask, heads = 2)
  return y = %y
}}
"""


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("%mask = mul(%m, %n)", ["m", "n"]),
        ("%mask = scale(%m, factor = -1.0, offset = 1.0)", ["m"]),
        ("%0 = reverse(%n, axis = time) %mask = maximum(%0, %m)", ["m", "n"]),
        ("%0 = concat(%m, %n, axis = time) %mask = slice(%0, axis = time, stride = 2)", ["m", "n"]),
        ("%0 = cast(%m, dtype = bool) %mask = cast(%0, dtype = f32)", []),
        ("%0 = cast(%m, dtype = i32) %mask = cast(%0, dtype = f32)", []),
        ("%mask = scale(%m, factor = 0.5, offset = 0.5)", []),
        ("%mask = sigmoid(%m)", []),
        ("%0 = sigmoid(%n) %mask = mul(%0, %m)", ["m"]),
        ("%mask = slice(%x, axis = channel, begin = 3)", []),
        ("%0, %mask = split(%x, sizes = [3, 1], axis = channel)", []),
    ],
)
def test_what_a_mask_is_made_of_is_ones_and_zeros(lines: str, found: list[str]) -> None:
    text = PROGRAM.format(type="f32[batch B, time T]", lines=lines)
    assert masks(parse_program(text).functions["f"]) == found


@pytest.mark.parametrize(("dtype", "domains"), [("bool", {}), ("i32", {"m": Choices((0.0, 1.0), whole=True)})])
def test_a_mask_may_be_of_another_type(dtype: str, domains: dict[str, Choices]) -> None:
    text = PROGRAM.format(type=f"{dtype}[batch B, time T]", lines="%mask = cast(%m, dtype = f32)")
    function = parse_program(text).functions["f"]
    assert (masks(function), mask_domains(function)) == (["m"], domains)
