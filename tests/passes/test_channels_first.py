"""The layout (batch, channel, feature or label, time), and what it does to each kind of op."""

from __future__ import annotations

import pytest

from mctc.ir.text import parse_program
from mctc.passes.channels_first import ChannelsFirst
from mctc.rewrite.base import Context
from mctc.rewrite.rewriter import RewriteError

DIMS = "dim B: batch dim T: time @ 100 dim U: label"


def program(body: str, parameters: str = "") -> str:
    return f"program @m {{ {DIMS} {parameters} {body} }}"


def test_conv1d_becomes_conv2d_and_vectors_meet_the_channel_axis(rewrites):
    sources = "source @w: f32[6, 4, 3] = normal() source @g: f32[6] = normal()"
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %w = parameter @w
        %g = parameter @g
        %y = conv1d(%x, %w, stride = 2, pad = [1, 1])
        %z = mul(%y, %g)
        return out = %z
    }"""
    after = """function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
        %w = parameter @w
        %y = conv2d(%x, %w, stride = [1, 2], pad = [1, 1]): f32[batch B, channel 6, unit 1, time T/2]
        %g = parameter @g
        %z = mul(%y, %g): f32[batch B, channel 6, unit 1, time T/2]
        return out = %z
    }"""
    reshaped = """
        param @w: f32[6, 4, 1, 3] = reshape(@w, axes = [plain 6, plain 4, plain 1, plain 3])
        param @g: f32[6, 1, 1] = reshape(@g, axes = [plain 6, plain 1, plain 1])
    """
    rewrites(ChannelsFirst, program(before, sources + " param @w param @g"), program(after, sources + reshaped))


def test_a_component_without_a_batch_gets_a_batch_of_one(rewrites):
    """Ops that look for the batch axis find one: a 2-d convolution, the state of a cell."""
    before = """function @f(%x: f32[time T, channel 8]) {
        %w = parameter @w
        %a = split_channels(%x, groups = 2)
        %b = conv2d(%a, %w, pad_feature = [1, 1])
        %c = merge_channels(%b)
        return out = %c
    }"""
    after = """function @f(%x: f32[batch 1, channel 8, unit 1, time T]) {
        %w = parameter @w
        %a = split_channels(%x, groups = 2)
        %b = conv2d(%a, %w, pad_feature = [1, 1])
        %c = merge_channels(%b)
        return out = %c
    }"""
    sources = "source @w: f32[2, 2, 3, 1] = normal() param @w"
    rewrites(ChannelsFirst, program(before, sources), program(after, sources))


def test_no_transpose_is_left(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %a = transpose(%x, order = [0, 2, 1])
        %b = silu(%a)
        %c = transpose(%b, order = [0, 2, 1])
        return out = %c
    }"""
    after = """function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
        %b = silu(%x)
        return out = %b
    }"""
    rewrites(ChannelsFirst, program(before), program(after))


def test_an_axis_given_by_position_is_found_again_by_its_role(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %a, %b = split(%x, parts = 2, axis = 2)
        %c = concat(%b, %a, axis = -1)
        %d = reduce_mean(%c, axis = 1)
        %e = slice(%d, axis = 2, begin = 1)
        return out = %e
    }"""
    after = """function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
        %a, %b = split(%x, parts = 2)
        %c = concat(%b, %a)
        %d = reduce_mean(%c, axis = time)
        %e = slice(%d, axis = channel, begin = 1): f32[batch B, channel 3, unit 1, time 1]
        return out = %e
    }"""
    rewrites(ChannelsFirst, program(before), program(after))


def test_labels_stand_last_alone_and_in_the_middle_beside_time(rewrites):
    before = """
    function @predictor(%token: i32[batch B, label U] < 9) {
        %t = parameter @table
        %e = embedding(%token, %t)
        return out = %e
    }
    function @joiner(%enc: f32[batch B, time T, channel 4], %pred: f32[batch B, label U, channel 4]) {
        %s = add(%enc, %pred)
        return out = %s
    }"""
    after = """
    function @predictor(%token: i32[batch B, unit 1, unit 1, label U] < 9) {
        %t = parameter @table
        %e = embedding(%token, %t): f32[batch B, channel 4, unit 1, label U]
        return out = %e
    }
    function @joiner(%enc: f32[batch B, channel 4, unit 1, time T], %pred: f32[batch B, channel 4, label U, unit 1]) {
        %s = add(%enc, %pred): f32[batch B, channel 4, label U, time T]
        return out = %s
    }"""
    table = "source @table: f32[9, 4] = normal() param @table"
    rewrites(ChannelsFirst, program(before, table), program(after, table))


def test_feature_and_label_together_make_rank_five(rewrites):
    before = """function @f(%x: f32[batch B, time T, feature 3, channel 4], %y: f32[batch B, label U, channel 4]) {
        %s = add(%x, %y)
        return out = %s
    }"""
    made, _ = rewrites(ChannelsFirst, program(before))
    (result,) = (value.type for _, value in made.functions["f"].results)
    assert [role.value for role in result.roles] == ["batch", "channel", "feature", "label", "time"]


def test_a_table_over_feature_and_channel_meets_the_same_axes(rewrites):
    source = "source @g: f32[3, 4] = normal()"
    before = """function @f(%x: f32[batch B, time T, feature 3, channel 4]) {
        %g = parameter @g
        %y = add(%x, %g)
        return out = %y
    }"""
    after = """function @f(%x: f32[batch B, channel 4, feature 3, time T]) {
        %g = parameter @g
        %y = add(%x, %g)
        return out = %y
    }"""
    moved = """ param @g: f32[4, 3, 1] =
        reshape(transpose(@g, order = [1, 0]): f32[4, 3], axes = [plain 4, plain 3, plain 1])"""
    rewrites(ChannelsFirst, program(before, source + " param @g"), program(after, source + moved))


def test_a_constant_with_roles_is_laid_out(rewrites):
    before = """function @f(%x: f32[batch B, time 2, channel 3]) {
        %c = constant [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]: f32[time 2, channel 3]
        %y = add(%x, %c)
        return out = %y
    }"""
    made, _ = rewrites(ChannelsFirst, program(before))
    constant = made.functions["f"].ops[0]
    assert constant.attributes["value"].tolist() == [[[[1, 4]], [[2, 5]], [[3, 6]]]]


def test_ops_that_find_axes_by_role_keep_their_meaning(rewrites):
    sources = """
        source @a: f32[8, 2] = normal() source @ih: f32[12, 8] = normal() source @hh: f32[12, 4] = normal()
        param @a param @ih param @hh
    """
    before = """function @f(%x: f32[batch B, time T, channel 8], %b: f32[batch B, time T, channel 2]) {
        %a = parameter @a
        %n = neg(%a)
        %s, %state = selective_scan(%x, %x, %n, %b, %b)
        %q = attention(%s, %s, %s, heads = 2, left = 2, right = 1)
        %ih = parameter @ih
        %hh = parameter @hh
        %g, %h = gru(%q, %ih, %hh)
        %k = split_channels(%g, groups = 2)
        %m = merge_channels(%k)
        %l = layer_norm(%m)
        return out = %l
    }"""
    made, _ = rewrites(ChannelsFirst, program(before, sources))
    names = [op.name for op in made.functions["f"].ops]
    assert not {"transpose", "reshape"} & set(names)


def test_stacked_frames_are_picked_by_depthwise_convolutions(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %y = reshape(%x, axes = [batch B, time T/3, channel 12])
        return out = %y
    }"""
    made, _ = rewrites(ChannelsFirst, program(before))
    ops = [op for op in made.functions["f"].ops if op.name != "constant"]
    assert [op.name for op in ops] == ["conv2d", "conv2d", "conv2d", "concat"]
    assert {op.attributes["groups"] for op in ops[:3]} == {4}


def test_samples_of_one_channel_are_stacked_by_one_convolution(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 1]) {
        %y = reshape(%x, axes = [batch B, time T/64, channel 64])
        return out = %y
    }"""
    made, _ = rewrites(ChannelsFirst, program(before))
    assert [op.name for op in made.functions["f"].ops] == ["constant", "conv2d"]


def test_frames_that_become_several_need_no_transpose(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 6]) {
        %y = reshape(%x, axes = [batch B, time 3*T, channel 2])
        return out = %y
    }"""
    after = """function @f(%x: f32[batch B, channel 6, unit 1, time T]) {
        %a, %b, %c = split(%x, parts = 3, axis = 1)
        %d = reshape(%a, axes = [batch B, channel 2, time T, feature 1])
        %e = reshape(%b, axes = [batch B, channel 2, time T, feature 1])
        %g = reshape(%c, axes = [batch B, channel 2, time T, feature 1])
        %h = concat(%d, %e, %g, axis = 3)
        %y = reshape(%h, axes = [batch B, channel 2, unit 1, time 3*T])
        return out = %y
    }"""
    rewrites(ChannelsFirst, program(before), program(after))


def test_features_that_become_frames_need_no_transpose(rewrites):
    rewrites(
        ChannelsFirst,
        """function @f(%x: f32[batch B, time T, feature 2, channel 4]) {
            %y = reshape(%x, axes = [batch B, time 2*T, channel 4])
            return y = %y
        }""",
        """function @f(%x: f32[batch B, channel 4, feature 2, time T]) {
            %a, %b = split(%x, parts = 2, axis = 2)
            %c = reshape(%a, axes = [batch B, channel 4, time T, feature 1])
            %d = reshape(%b, axes = [batch B, channel 4, time T, feature 1])
            %e = concat(%c, %d, axis = 3)
            %y = reshape(%e, axes = [batch B, channel 4, unit 1, time 2*T])
            return y = %y
        }""",
    )


def test_it_changes_nothing_the_second_time(rewrites):
    laid_out = program("""function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
        %y = softmax(%x)
        return out = %y
    }""")
    rewrites(ChannelsFirst, laid_out, laid_out)


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("reshape(%x, axes = [batch B, time T, feature 2, channel 2])", "use split_channels"),
        ("matmul(%x, %x)", "use attention"),
    ],
)
def test_what_would_need_a_transpose_is_refused(op, words):
    text = f"function @f(%x: f32[batch B, time 4, channel 4]) {{ %y = {op} return out = %y }}".replace("T,", "4,")
    with pytest.raises(RewriteError, match=words):
        ChannelsFirst().run(parse_program(program(text)), Context())


def test_a_product_with_weights_over_the_channels_is_a_linear_layer(rewrites):
    """A square weight: its transpose fits too, so that only the values tell them apart."""
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %w = parameter @w
        %y = matmul(%x, %w)
        return out = %y
    }"""
    made, _ = rewrites(ChannelsFirst, program(before, "source @w: f32[4, 4] = normal() param @w"))
    assert [op.name for op in made.functions["f"].ops] == ["parameter", "linear"]


def test_labels_beside_time_stand_last_for_an_op_that_runs_along_them(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4], %y: f32[batch B, label 5, channel 4]) {
        %w = parameter @w
        %c = conv1d(%y, %w, groups = 4, pad = [1, 0])
        %u = parameter @u
        %h, %last = gru(%c, %u, %u)
        %a = attention(%x, %h, %y, heads = 2)
        %z = add(%a, %h)
        return out = %z
    }"""
    sources = "source @w: f32[4, 1, 2] = normal() param @w source @u: f32[12, 4] = normal() param @u"
    made, _ = rewrites(ChannelsFirst, program(before, sources))
    ops = {op.name: op for op in made.functions["f"].ops}
    for name, operand in (("conv2d", 0), ("gru", 0), ("attention", 1), ("attention", 2)):
        value = ops[name].operands[operand]
        assert value is not None
        assert str(value.type) == "f32[batch B, channel 4, unit 1, label 5]"
    assert str(ops["add"].result.type) == "f32[batch B, channel 4, label 5, time T]"


def test_frames_stand_beside_the_labels_that_they_meet_where_labels_stream(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4], %y: f32[batch B, label U, channel 4]) {
        %s = add(%x, %y)
        %m = reduce_mean(%s, axis = "time")
        %z = reshape(%m, axes = [batch B, label U, channel 4])
        return out = %z
    }"""
    made, _ = rewrites(ChannelsFirst, program(before))
    (added,) = (op for op in made.functions["f"].ops if op.name == "add")
    assert str(added.result.type) == "f32[batch B, channel 4, time T, label U]"


def test_a_convolution_along_time_where_frames_meet_labels_that_stream_is_refused():
    text = """function @f(%x: f32[batch B, time T, label U, channel 4]) {
        %w = constant [[[0.5, 1.0]]]: f32[1, 1, 2]
        %v = concat(%w, %w, %w, %w, axis = 0)
        %c = conv1d(%x, %v, groups = 4, pad = [1, 0])
        %m = reduce_mean(%c, axis = "time")
        %z = reshape(%m, axes = [batch B, label U, channel 4])
        return out = %z
    }"""
    with pytest.raises(RewriteError, match="before they meet labels"):
        ChannelsFirst().run(parse_program(program(text)), Context())


def test_a_parameter_whose_axes_get_roles_is_transposed_where_the_layout_has_another_order(rewrites):
    before = """function @f(%x: f32[batch B, time T, channel 4]) {
        %p = parameter @p
        %q = reshape(%p, axes = [time 1, channel 4])
        %r = parameter @r
        %s = reshape(%r, axes = [feature 3, channel 4])
        %y = add(%x, %q)
        return out = %y, roles = %s
    }"""
    sources = "source @p: f32[4] = normal() param @p source @r: f32[3, 4] = normal() param @r"
    made, _ = rewrites(ChannelsFirst, program(before, sources))
    results = {name: str(value.type) for name, value in made.functions["f"].results}
    assert results["roles"] == "f32[unit 1, channel 4, feature 3, unit 1]"


def test_features_where_frames_meet_labels_are_refused():
    text = """function @f(%x: f32[batch B, time T, label U, channel 4]) {
        %y = split_channels(%x, groups = 2)
        return out = %y
    }"""
    with pytest.raises(RewriteError, match="where frames meet labels"):
        ChannelsFirst().run(parse_program(program(text)), Context())


@pytest.mark.parametrize(
    "op",
    [
        "rms_norm(%x, %v)",
        "layer_norm(%x, %v, %v)",
        "batch_norm(%x, %v, %v)",
        "linear(%x, %m, %v)",
        "conv1d(%x, %k, %v, pad = [2, 0])",
        "ssd(%x, %x, %v, %x, %x)",
        "selective_scan(%x, %x, %m, %x, %x, %v)",
        "lstm(%x, %m, %m, %v)",
    ],
)
def test_a_vector_of_channels_as_a_weight_stays_a_vector(rewrites, op: str) -> None:
    gates = op.startswith("lstm")
    vector = "[0.5, 0.25, 0.75, 1.0]: f32[channel 4]"
    sources = """source @m: f32[4, 4] = normal() param @m source @k: f32[4, 4, 3] = normal() param @k"""
    results = {"ssd": "%y, %h", "selective_scan": "%y, %h", "lstm": "%y, %h, %c"}.get(op.split("(")[0], "%y")
    body = f"""function @f(%x: f32[batch B, time T, channel {1 if gates else 4}]) {{
        %c0 = constant {vector}
        %v = exp(%c0)
        %m = parameter @{"g" if gates else "m"}
        %k = parameter @k
        {results} = {op}
        return out = %y
    }}"""
    rewrites(ChannelsFirst, program(body, sources + " source @g: f32[4, 1] = normal() param @g"))
