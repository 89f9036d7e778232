"""Values of one frame along rows, where that takes less than the reshapes around them."""

from __future__ import annotations

import pytest

from mctc.passes.fill_rows import FillRows

WEIGHTS = "source @w: f32[2048, 1024, 1, 1] = normal() source @n: f32[1024] = normal() param @w param @n"
GATES = """%g = conv2d(%x, %k) %i, %o = split(%g, parts = 2) %a = sigmoid(%i) %b = tanh(%o) %c = mul(%a, %b)
    %h = add(%c, %s) %y = conv2d(%h, %k)"""


def program(body: str, results: str, shape: str = "batch 1, channel 1024, unit 1, time 1") -> str:
    return f"""program @m {{ {WEIGHTS} function @f(%x: f32[{shape}], %s: f32[{shape}]) {{
        %k = parameter @w %v = parameter @n {body} return {results} }} }}"""


def shapes(made):
    """What is computed, by its op, reshapes apart."""
    ops = [op for op in made.functions["f"].ops if op.name not in ("parameter", "constant", "reshape")]
    return [(op.name, *op.result.type.shape[1:]) for op in ops]


def reshapes(made):
    ops = [op for op in made.functions["f"].ops if op.name == "reshape"]
    return sum(op.operands[0].type.shape != op.result.type.shape for op in ops)


def test_what_lies_between_convolutions_becomes_rows(rewrites):
    made, _ = rewrites(FillRows, program(GATES, "y = %y"))
    assert shapes(made) == [
        ("conv2d", 2048, 1, 1), ("split", 1, 1, 1024), ("sigmoid", 1, 1, 1024), ("tanh", 1, 1, 1024),
        ("mul", 1, 1, 1024), ("add", 1, 1, 1024), ("conv2d", 2048, 1, 1),
    ]  # fmt: skip
    assert reshapes(made) == 3  # of what is convolved, of the state, and back


def test_a_column_that_is_read_elsewhere_is_turned_back_once(rewrites):
    made, _ = rewrites(FillRows, program(GATES, "y = %y, h = %h, c = %c"))
    assert reshapes(made) == 4
    assert {value.type.shape for _, value in made.functions["f"].results} == {(1, 2048, 1, 1), (1, 1024, 1, 1)}


def test_norms_slices_and_joins_of_channels_go_along(rewrites):
    body = """%l = layer_norm(%x, %v) %j = concat(%l, %s) %t = slice(%j, axis = channel, begin = 64, end = 1088)
        %r = rms_norm(%t, %v) %p = scale(%r, factor = 2.0, offset = 1.0)"""
    made, _ = rewrites(FillRows, program(body, "p = %p"))
    assert [shape[1:3] for shape in shapes(made)] == [(1, 1)] * 5


def test_a_row_that_was_made_a_column_is_read_as_the_row_that_it_was(rewrites):
    row = '[["batch", 1], ["unit", 1], ["unit", 1], ["channel", 1024]]'
    column = '[["batch", 1], ["channel", 1024], ["unit", 1], ["time", 1]]'
    body = f"""%r = reshape(%x, axes = {row}) %c = reshape(%r, axes = {column}) %a = tanh(%c) %b = sigmoid(%a)
        %d = exp(%b) %y = reshape(%d, axes = {row})"""
    made, _ = rewrites(FillRows, program(body, "y = %y"))
    assert reshapes(made) == 1  # of %x alone


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("%a = tanh(%x) %b = add(%a, %s)", "batch 1, channel 1024, unit 1, time 2"),
        ("%a = tanh(%x) %b = softmax(%a)", "batch 1, channel 1024, unit 1, time 1"),
        ("%a = tanh(%x) %b = add(%a, %s)", "batch 1, channel 8, unit 1, time 1"),
    ],
    ids=["several frames", "one op alone", "few channels"],
)
def test_what_gains_too_little_or_is_no_column_stays(rewrites, body, shape):
    text = program(body, "b = %b", shape).replace("%k = parameter @w %v = parameter @n", "")
    text = text.replace(WEIGHTS, "")
    rewrites(FillRows, text, text)


def test_why_tells_what_either_takes(rewrites):
    _, context = rewrites(FillRows, program(GATES, "y = %y"))
    ((by, _, why),) = context.explanations
    assert by == "fill-rows"
    assert why.startswith("5 ops on single frames: ")
    assert "with 3 reshapes" in why
