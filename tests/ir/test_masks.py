"""Which inputs have to be ones and zeros: the masks of ops, and what masks are made of."""

from __future__ import annotations

import pytest

from mctc.ir.domain import Choices
from mctc.ir.marks import doubtful_masks
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


FRAMES = "%0 = reshape(%m, axes = [batch B, time T, channel 1])"
PICKED = "%1 = conv1d(%0, %w, pad = [0, 1]) %mask = reshape(%1, axes = [batch B, time T])"


@pytest.mark.parametrize(
    ("lines", "sound"),
    [
        ("%mask = mul(%m, %n)", True),
        ("%mask = scale(%m, factor = -1.0, offset = 1.0)", True),
        ("%mask = scale(%m, factor = 1.0, offset = 1.0)", False),
        ("%mask = add(%m, %n)", False),
        ("%0 = add(%m, %n) %mask = clip(%0, low = 0.0, high = 1.0)", True),
        ("%0 = sub(%k, %m) %mask = clip(%0, low = 0.0, high = 1.0)", True),
        ("%0 = mul(%z, %m) %mask = clip(%0, low = 0.0, high = 1.0)", False),
        ("%mask = sigmoid(%m)", False),
        ("%mask = mul(%m, %z)", False),
        ("%0 = cast(%z, dtype = bool) %mask = cast(%0, dtype = f32)", True),
        ("%0 = cast(%z, dtype = i32) %mask = cast(%0, dtype = f32)", False),
        ("%0 = constant [1.0]: f32[batch 1] %mask = mul(%m, %0)", True),
        ("%0 = constant [0.5]: f32[batch 1] %mask = mul(%m, %0)", False),
        ("%mask = slice(%z, axis = batch)", False),
        (f"{FRAMES} %w = constant [[[0.0, 1.0]]]: f32[1, 1, 2] {PICKED}", True),
        (f"{FRAMES} %w = constant [[[1.0, 1.0]]]: f32[1, 1, 2] {PICKED}", False),
        (f"{FRAMES} %w = constant [[[0.0, 0.5]]]: f32[1, 1, 2] {PICKED}", False),
    ],
)
def test_a_mask_that_may_be_other_numbers_is_found(lines: str, sound: bool) -> None:
    text = f"""
function @f(
  %x: f32[batch B, time T, channel 4], %m: f32[batch B, time T], %n: f32[batch B, time T], %z: f32[batch B, time T],
  %k: f32[batch B, time T] < 9
) {{
  domain %m in {{0, 1}}
  domain %n in {{0, 1}}
  {lines}
  %y = attention(%x, %x, %x, %mask, heads = 2)
  return y = %y
}}
"""
    function = parse_program(text).functions["f"]
    assert [op.name for op in doubtful_masks(function)] == ([] if sound else ["attention"])
