"""Inference that is remembered gives what it would give anew, and refuses what it would refuse."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir import build
from mctc.ir.build import Builder
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError, Op
from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.ir.value import Value

PROGRAM = """function @f(%x: f32[batch 1, time 4, channel 3], %y: f32[batch 1, time 4, channel 3]) {
    %m = reduce_mean(%x, axis = "time")
    return m = %m
}"""


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> tuple[Builder, Value, Value]:
    monkeypatch.setattr(build, "_KNOWN", {})
    program: Program = parse_program(PROGRAM)
    monkeypatch.setattr(build, "_KNOWN", {})
    x, y = program.functions["f"].inputs
    return Builder(program), x, y


def test_a_second_application_has_its_own_operands_origin_and_results(inputs: tuple[Builder, Value, Value]) -> None:
    builder, x, y = inputs
    first = builder.op("reduce_mean", x, axis="time")
    builder.origin = Origin(path="encoder")
    second = builder.op("reduce_mean", y, axis="time")
    assert len(build._KNOWN) == 1
    assert first is not second
    one, two = first.owner, second.owner
    assert isinstance(one, Op)
    assert isinstance(two, Op)
    assert (one.operands, two.operands) == ((x,), (y,))
    assert (one.origin.path, two.origin.path) == ("", "encoder")
    assert first.type == second.type
    assert one.verified == two.verified == one.around() == two.around()
    assert one.attributes == two.attributes
    assert one.attributes is not two.attributes


def test_absent_operands_and_defaults_are_filled_in_both_times(inputs: tuple[Builder, Value, Value]) -> None:
    builder, x, _ = inputs
    shapes = [builder.op("softmax", x, axis=axis).owner for axis in (2, 2)]
    norms = [builder.op("layer_norm", x, None, None).owner, builder.op("layer_norm", x).owner]
    for one, two in (shapes, norms):
        assert isinstance(one, Op)
        assert isinstance(two, Op)
        assert len(one.operands) == len(two.operands) == len(type(one).fields)
        assert set(one.attributes) == set(two.attributes) == set(type(one).defaults)


def test_numbers_that_are_equal_and_of_other_types_are_told_apart(inputs: tuple[Builder, Value, Value]) -> None:
    builder, x, _ = inputs
    builder.op("softmax", x, axis=2)
    builder.op("reduce_mean", x, axis=1)
    for kind, wrong in (("softmax", 2.0), ("reduce_mean", True), ("reduce_mean", 1.0)):
        with pytest.raises(InferenceError):
            builder.op(kind, x, axis=wrong)


def test_other_types_are_inferred_anew(inputs: tuple[Builder, Value, Value]) -> None:
    builder, x, _ = inputs
    narrow = builder.op("reduce_mean", x, axis="time")
    assert builder.op("softmax", narrow, axis=2).type == narrow.type
    assert builder.op("softmax", x, axis=2).type == x.type


def test_what_is_wrong_is_wrong_each_time(inputs: tuple[Builder, Value, Value]) -> None:
    builder, x, _ = inputs
    for _ in range(2):
        with pytest.raises(InferenceError, match="has no label axis"):
            builder.op("reduce_mean", x, axis="label")


def test_constants_are_never_taken_for_one_another(inputs: tuple[Builder, Value, Value]) -> None:
    builder, *_ = inputs
    arrays = [np.zeros(5000), np.arange(5000.0)]
    values = [builder.constant(array) for array in arrays]
    for array, value in zip(arrays, values, strict=True):
        assert value.owner is not None
        np.testing.assert_array_equal(value.owner.attributes["value"], array)


def test_what_is_remembered_holds_no_program_and_has_an_end(
    inputs: tuple[Builder, Value, Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    builder, x, _ = inputs
    monkeypatch.setattr(build, "MOST_KNOWN", 2)
    value = x
    for _ in range(5):
        value = builder.op("add", value, x)
        value = builder.op("reduce_mean", value, axis="time")
        value = builder.op("add", x, value)
    assert len(build._KNOWN) <= 2
    for known in build._KNOWN.values():
        assert not any(known.operands)
        assert all(result.owner is None for result in known.results)
