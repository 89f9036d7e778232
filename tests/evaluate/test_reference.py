"""The evaluator of the IR: the precision that it computes in."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program

TIED = """program @p {
    source @table: f32[5, 4] = normal() param @table
    function @embed(%id: i32[batch 1, label 3] < 5) {
        %t = parameter @table %y = embedding(%id, %t) return out = %y
    }
    function @head(%x: f32[batch 1, label 3, channel 4]) {
        %t = parameter @table %y = linear(%x, %t) return out = %y
    }
}"""


TABLE = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
IDS = np.array([[4, 0, 4]])


@pytest.mark.parametrize(("name", "inputs"), [("embed", {"id": IDS}), ("head", {"x": np.ones((1, 3, 4))})])
def test_a_table_whose_rows_are_picked_is_not_copied_into_a_wider_type(
    name: str, inputs: dict[str, np.ndarray]
) -> None:
    seen: dict[str, np.ndarray] = {}
    function = parse_program(TIED).functions[name]
    results, _ = evaluate(function, inputs, lambda _: TABLE, observe=lambda op, made: seen.update({op.name: made[0]}))
    assert (seen["parameter"] is TABLE) == (name == "embed")
    assert results["out"].dtype == np.float64
    if name == "embed":
        np.testing.assert_array_equal(results["out"], TABLE[IDS])
