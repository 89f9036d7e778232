"""Where ops are predicted to run, and when that is doubtful."""

from __future__ import annotations

import pytest

from mctc.hardware.devices import find_device
from mctc.linter.coreml.cost import Cost
from mctc.linter.coreml.graph import FunctionGraph, PackageGraph
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.placement import Eligible, Placement, Predicted, place
from mctc.linter.coreml.rule import Effect

ANE, CPU, DOUBTFUL = Predicted.ANE, Predicted.CPU, Predicted.DOUBTFUL


def chain(length: int) -> FunctionGraph:
    text = f"x: fp16[1, 8]\nfor _ in range({length}):\n    x: fp16[1, 8] = relu(x=x)\nreturn x"
    return PackageGraph(read_notation(text)).functions["main"]


def placed(
    savings: list[float], effects: dict[int, Effect] | None = None, device: str = "m1", spread: float = 1.0
) -> Placement:
    """A chain of ops that save so many microseconds each on the engine."""
    function = chain(len(savings))
    costs = [Cost(1.0, 1.0 + saving, 0, 0, spread) for saving in savings]
    of_ops = {function.ops[index]: effect for index, effect in (effects or {}).items()}
    return place(function, of_ops, costs, find_device(device).doubt)


def test_far_above_the_charges_is_the_engine_far_below_the_cpu_and_between_is_doubtful() -> None:
    assert placed([600.0]).predicted == [ANE]
    assert placed([100.0]).predicted == [CPU]
    for saving in (130.0, 200.0, 300.0, 490.0):
        assert placed([saving]).predicted == [DOUBTFUL]


def test_where_the_estimates_were_published_less_is_doubtful() -> None:
    for saving, where in ((200.0, CPU), (240.0, CPU), (248.0, DOUBTFUL), (252.0, DOUBTFUL), (260.0, ANE)):
        assert placed([saving], device="m4").predicted == [where]


@pytest.mark.parametrize(
    ("device", "doubted"), [("m4", False), ("M4 Max", False), ("H16", False), ("a17", True), ("m6", True)]
)
def test_other_chips_keep_a_wide_band(device: str, doubted: bool) -> None:
    assert placed([400.0], device=device).predicted == [DOUBTFUL if doubted else ANE]


def test_an_estimate_of_one_size_alone_leaves_more_in_doubt() -> None:
    assert placed([300.0], device="m4").predicted == [ANE]
    assert placed([300.0], device="m4", spread=2.0).predicted == [DOUBTFUL]
    assert placed([1000.0], device="m4", spread=2.0).predicted == [ANE]


def test_an_op_that_may_as_well_be_on_either_side_is_doubtful() -> None:
    assert placed([600.0, 0.0], device="m4").predicted == [ANE, DOUBTFUL]


def test_a_refused_op_splits_the_graph() -> None:
    found = placed([2000.0, 0.0, 2000.0], {1: Effect.OFF})
    assert found.predicted == [ANE, CPU, ANE]
    assert found.eligible == [Eligible.YES, Eligible.NO, Eligible.YES]
    assert found.switches == 2
    assert [segment.size for segment in found.segments] == [1, 1, 1]


def test_a_contested_op_is_doubtful_and_its_neighbours_are_where_both_readings_agree() -> None:
    found = placed([3000.0, 10.0, 3000.0], {1: Effect.DOUBT})
    assert found.predicted == [ANE, DOUBTFUL, ANE]
    assert found.eligible[1] is Eligible.CONTESTED


def test_neighbours_that_pay_only_together_are_doubtful_with_the_contested_op_between_them() -> None:
    assert placed([240.0, 100.0, 240.0], {1: Effect.DOUBT}).predicted == [DOUBTFUL, DOUBTFUL, DOUBTFUL]


def test_what_is_saved_is_the_cpu_time_less_the_time_with_its_charges() -> None:
    found = placed([2000.0, 0.0, 2000.0], {1: Effect.OFF})
    assert found.cpu_time == 2001.0 + 1.0 + 2001.0
    assert found.time == (125 + 1) + 125 + 1 + 125 + (125 + 1) + 125
    assert found.saving == found.cpu_time - found.time


def test_shares_weigh_ops_by_their_estimated_time() -> None:
    found = placed([3999.0, 0.0], {1: Effect.OFF})
    assert found.share(ANE) == 4000 / 4001
    assert found.share(CPU) == 1 / 4001


def test_a_function_without_ops_has_an_empty_placement() -> None:
    found = placed([])
    assert (found.predicted, found.segments, found.time, found.share(ANE)) == ([], [], 0.0, 0.0)


def test_products_of_whole_numbers_take_less_where_one_source_says_so() -> None:
    head = (
        'x: fp16[1, 2048, 1, 512]\nq: int8[1, 2048, 1, 512] = quantize(input=x, scale=fp16(0.5), output_dtype="int8")\n'
    )
    held = "d: fp16[1, 2048, 1, 512] = dequantize(input=q, scale=fp16(0.5))\n"
    codes = "int8[2048, 2048, 1, 1], scale=fp16[2048, 1, 1, 1]"
    weight = f"w: fp16[2048, 2048, 1, 1] = constexpr_blockwise_shift_scale(data={codes})\n"
    end = "y: fp16[1, 2048, 1, 512] = conv(x={x}, weight={w})\nreturn y"

    def of(x: str, w: str) -> Placement:
        text = head + held + weight + end.format(x=x, w=w)
        function = PackageGraph(read_notation(text)).functions["main"]
        return place(function, {})

    whole = of("d", "w")
    assert whole.int8_time is not None
    conv = next(cost.ane for op, cost in zip(whole.function.ops, whole.costs) if op.type == "conv")
    assert whole.time - whole.int8_time == pytest.approx(conv * 0.88 / 1.88)
    assert of("x", "w").int8_time is None
    assert of("d", "fp16[2048, 2048, 1, 1]").int8_time is None
