"""One reshape before a split instead of one for each part."""

from __future__ import annotations

from mctc.passes.hoist_reshape import HoistReshape

WEIGHTS = "source @w: f32[5, 4, 1, 1] = normal() source @b: f32[5] = normal() param @w param @b"


def program(body: str, weights: str = WEIGHTS) -> str:
    return f"""program @m {{ {weights} function @f(%x: f32[batch 1, channel 10, unit 1, time 2]) {{
        %k = parameter @w %c = parameter @b {body} }} }}"""


BLOCK = """%d, %p, %q = split(%x, sizes = [4, 3, 3])
    %y = conv2d(%d, %k, %c)
    %B = reshape(%p, axes = [["unit", 1], ["unit", 1], ["feature", 3], ["time", 2]])
    %C = reshape(%q, axes = [["unit", 1], ["unit", 1], ["feature", 3], ["time", 2]])
    %z = mul(%B, %C)
    return y = %y, z = %z"""


def moves(made):
    """Ops but those that only change roles."""
    ops = [op for op in made.functions["f"].ops if op.name not in ("parameter", "constant")]
    return [op.name for op in ops if op.name != "reshape" or op.operands[0].type.shape != op.result.type.shape]


def test_two_reshapes_after_a_split_become_one_before_it(rewrites):
    made, _ = rewrites(HoistReshape, program(BLOCK))
    assert moves(made) == ["reshape", "split", "conv2d", "mul"]
    assert made.parameters["w"].type.shape == (5, 1, 4, 1)


def test_a_part_that_something_else_reads_keeps_the_split_of_channels(rewrites):
    text = program(BLOCK.replace("y = %y", "y = %y, d = %d"))
    rewrites(HoistReshape, text, text)


def test_one_reshape_is_left_where_it_is(rewrites):
    text = program("""%d, %p = split(%x, sizes = [4, 6]) %y = conv2d(%d, %k, %c)
        %z = reshape(%p, axes = [["unit", 1], ["unit", 1], ["feature", 6], ["time", 2]])
        return y = %y, z = %z""")
    rewrites(HoistReshape, text, text)
