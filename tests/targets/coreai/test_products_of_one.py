"""A product that sums one entry, with a factor that was reshaped: coreai's runtime would turn the result over."""

from __future__ import annotations

import pytest

from mctc.ir.text import parse_program

from .conftest import Make

COLUMN, FLAT = "f32[batch 1, channel 1, feature 4, time 1]", "f32[batch 1, channel 2, unit 1, time 1]"
PRODUCTS = {
    "turned": "%b = reshape(%c, axes = [unit 1, unit 1, plain 2, time 1]) %y = matmul(%a, %b, transpose_right = true)",
    "as it is": "%b = reshape(%c, axes = [unit 1, unit 1, time 1, plain 2]) %y = matmul(%a, %b)",
    "both": """%l = reshape(%a, axes = [batch 1, channel 1, time 1, feature 4])
        %b = reshape(%c, axes = [unit 1, unit 1, time 1, plain 2]) %y = matmul(%l, %b, transpose_left = true)""",
}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_entry_is_in_its_place(make: Make, precision: str) -> None:
    functions = "\n".join(
        f"function @product{index}(%a: {COLUMN}, %c: {FLAT}) {{ {ops} return y = %y }}"
        for index, ops in enumerate(PRODUCTS.values())
    )
    agreements = make(parse_program(f"program @p {{ {functions} }}"), precision=precision).check()
    assert len(agreements) == len(PRODUCTS)
    assert max(agreement.error for agreement in agreements) <= {"fp32": 1e-6, "fp16": 1e-3}[precision]
