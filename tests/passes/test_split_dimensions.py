"""Layers over the device's limit become layers under it."""

from __future__ import annotations

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.hardware.devices import find_device
from mctc.ir.text import parse_program, print_function
from mctc.passes.split_dimensions import SplitDimensions, parts

SMALL = SplitDimensions(limit=64)


def program(out: int, into: int, body: str, groups: int = 1) -> str:
    return f"""program @m {{ dim B: batch dim T: time
        source @w: f32[{out}, {into // groups}, 1, 1] = kaiming_uniform(fan_in = {into})
        source @b: f32[{out}] = normal() param @w param @b
        function @f(%x: f32[batch B, channel {into}, unit 1, time T]) {{
            %w = parameter @w %b = parameter @b {body} return out = %y
        }} }}"""


def test_outputs_are_split_into_layers_and_joined(rewrites):
    after = """program @m { dim B: batch dim T: time
        source @w: f32[100, 8, 1, 1] = kaiming_uniform(fan_in = 8)
        source @b: f32[100] = normal()
        param @w.slice: f32[64, 8, 1, 1] = slice(@w, axis = 0, begin = 0, end = 64, stride = 1)
        param @b.slice: f32[64] = slice(@b, axis = 0, begin = 0, end = 64, stride = 1)
        param @w.slice_1: f32[36, 8, 1, 1] = slice(@w, axis = 0, begin = 64, end = 100, stride = 1)
        param @b.slice_1: f32[36] = slice(@b, axis = 0, begin = 64, end = 100, stride = 1)
        function @f(%x: f32[batch B, channel 8, unit 1, time T]) {
            %w = parameter @w.slice
            %b = parameter @b.slice
            %p = conv2d(%x, %w, %b)
            %v = parameter @w.slice_1
            %c = parameter @b.slice_1
            %q = conv2d(%x, %v, %c)
            %y = concat(%p, %q): f32[batch B, channel 100, unit 1, time T]
            return out = %y
        } }"""
    made, _ = rewrites(SMALL, program(100, 8, "%y = conv2d(%x, %w, %b)"))
    assert print_function(made.functions["f"]) == print_function(parse_program(after).functions["f"])
    assert {name: p.type.shape for name, p in made.parameters.items()} == {
        name: p.type.shape for name, p in parse_program(after).parameters.items()
    }


def test_inputs_are_split_and_the_parts_added(rewrites):
    made, context = rewrites(SMALL, program(8, 100, "%y = conv2d(%x, %w, %b)"))
    names = [op.name for op in made.functions["f"].ops if op.name != "parameter"]
    assert names == ["split", "conv2d", "conv2d", "add"]
    assert "100 inputs" in context.explanations[0][2]


def test_both_at_once_share_the_split_inputs(rewrites):
    made, _ = rewrites(SMALL, program(130, 100, "%y = conv2d(%x, %w, %b)"))
    names = [op.name for op in made.functions["f"].ops if op.name != "parameter"]
    assert names.count("split") == 1
    assert names.count("conv2d") == 6


def test_grouped_layers_split_between_groups(rewrites):
    body = "%y = conv2d(%x, %w, %b, groups = 50)"
    made, _ = rewrites(SMALL, program(100, 100, body, groups=50))
    groups = [op.attributes["groups"] for op in made.functions["f"].ops if op.name == "conv2d"]
    assert groups == [25, 25]


def test_a_linear_layer_splits_too(rewrites):
    text = program(100, 80, "%y = linear(%x, %w, %b)").replace(", 1, 1]", "]")
    made, _ = rewrites(SMALL, text)
    assert [op.name for op in made.functions["f"].ops].count("linear") == 4


def test_layers_under_the_limit_stay(rewrites):
    text = program(64, 64, "%y = conv2d(%x, %w, %b)")
    rewrites(SMALL, text, text)


def test_the_limit_is_that_of_the_device(rewrites):
    text = program(16448, 2, "%y = conv2d(%x, %w, %b)")
    made, _ = rewrites(SplitDimensions, text, device="M1")
    assert "concat" in [op.name for op in made.functions["f"].ops]
    rewrites(SplitDimensions, text, text, device="M4 Max")


def test_a_time_axis_over_the_limit_is_explained(rewrites):
    text = "program @m { function @f(%x: f32[batch 1, channel 1, unit 1, time 80]) { %y = relu(%x) return out = %y } }"
    _, context = rewrites(SMALL, text, text)
    assert "the time axis has 80 entries" in context.explanations[0][2]


@pytest.mark.parametrize(
    ("device", "limit"),
    [
        (None, 16384),
        ("M3", 16384),
        ("m4 pro", 65536),
        ("A16", 16384),
        ("A17 Pro", 65536),
        ("H15", 16384),
        ("h16", 65536),
    ],
)
def test_limits_by_device(device, limit):
    assert find_device(device).family.extent == limit


def test_an_unknown_device_is_an_error_with_near_names():
    with pytest.raises(UsageError) as error:
        find_device("M44")
    assert error.value.hint


def test_parts_cover_the_axis_once():
    assert parts(130, 64) == [(0, 64), (64, 64), (128, 2)]
    assert parts(16400, 16384) == [(0, 8256), (8256, 8144)]
