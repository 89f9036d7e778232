"""Products that make each place alike along an axis, and ops of which that isn't known."""

from __future__ import annotations

import pytest

from mctc.ir.text import parse_program
from mctc.proof.alike import is_alike_along

X = "%x: f32[batch 1, channel 8, plain 4, time 6]"
M = "f32[batch 1, plain 3, plain 4, plain 4]"


@pytest.mark.parametrize(
    ("inputs", "op", "axes"),
    [
        (f"{X}, %w: f32[16, 8, 1, 3], %b: f32[16]", "conv2d(%x, %w, %b)", {1}),
        (f"{X}, %w: f32[16, 4, 1, 1]", "conv2d(%x, %w, groups = 2)", set()),
        (f"%x: {M}, %w: {M}", "matmul(%x, %w)", {0, 1}),
        (f"%x: {M}, %w: f32[batch 1, plain 1, plain 4, plain 4]", "matmul(%x, %w)", {0}),
        (f"%x: {M}, %w: f32[plain 4, plain 4]", "matmul(%x, %w)", set()),
        (X, "gelu(%x)", set()),
        (X, "softmax(%x)", set()),
    ],
)
def test_each_place_is_made_alike_along_these_axes(inputs: str, op: str, axes: set[int]) -> None:
    function = parse_program(f"function @f({inputs}) {{ %y = {op} return y = %y }}").functions["f"]
    (op_,) = function.ops
    assert {axis for axis in range(4) if is_alike_along(op_, axis)} == axes
