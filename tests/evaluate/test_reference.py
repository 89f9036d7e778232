"""The evaluator of the IR: the precision that it computes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mctc.evaluate import reference
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array, Op
from mctc.ir.rounding import Rounding
from mctc.ir.text import parse_program
from mctc.ir.value import Value

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


STEP = parse_program("""function @f(%x: f32[batch 1, channel 512]) {
    state %h: f32[batch 1, channel 512] as "h"
    %u = add(%h, %x)
    next %h = %u
    return y = %u
}""").functions["f"]


@pytest.mark.parametrize(
    "rounding", [None, Rounding(np.float16), Rounding(np.float16, jitters=1), Rounding(np.float32)]
)
def test_a_state_in_fp16_is_the_same_numbers_in_single_precision(rounding: Rounding | None) -> None:
    rng = np.random.default_rng(0)
    inputs, half = {"x": rng.normal(size=(1, 512))}, rng.normal(size=(1, 512)).astype(np.float16)
    (as_half, left), (as_single, expected) = (
        evaluate(STEP, inputs, lambda _: TABLE, {"h": held}, np.float32, rounding=rounding)
        for held in (half.copy(), half.astype(np.float32))
    )
    assert as_half["y"].dtype == left["h"].dtype == np.float32
    np.testing.assert_array_equal(as_half["y"], as_single["y"])
    np.testing.assert_array_equal(left["h"], expected["h"])


class Along:
    """Goes along with an evaluation, and may hold as many numbers again."""

    same: Mapping[Op, Op] = {}

    def instead(self, op: Op, results: Sequence[Array]) -> Sequence[Array]:
        return results

    def saw(self, op: Op, values: Mapping[Value, Array]) -> None: ...


@pytest.mark.parametrize(("large", "watched", "asked"), [(512, True, 2), (513, True, 0), (512, False, 0)])
def test_memory_is_given_back_before_a_large_array_is_made_where_somebody_goes_along(
    large: int, watched: bool, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[None] = []
    monkeypatch.setattr(reference, "LARGE", large)
    monkeypatch.setattr(reference, "give_back", lambda: times.append(None))
    inputs, state = {"x": np.ones((1, 512))}, {"h": np.ones((1, 512))}
    evaluate(STEP, inputs, lambda _: TABLE, state, np.float32, watch=Along() if watched else None)
    assert len(times) == asked
