"""The quantize section: which weights it marks, which it leaves and why, and what it refuses."""

from __future__ import annotations

import pytest

from mctc.ir.program import Quantization
from mctc.ir.text import parse_program
from mctc.passes.annotate_quantization import AnnotateQuantization, QuantizationError
from mctc.passes.linear_to_conv import LinearToConv
from mctc.rewrite.base import Context

BODY = """
    source @enc.in_proj.weight: f32[64, 64, 1, 1] = kaiming_uniform(fan_in = 64)
    source @enc.in_proj.bias: f32[64] = zeros()
    source @enc.conv.weight: f32[64, 4, 1, 9] = kaiming_uniform(fan_in = 36)
    source @enc.norm.weight: f32[64] = ones()
    source @enc.out.weight: f32[80, 64, 1, 1] = kaiming_uniform(fan_in = 64)
    param @enc.in_proj.weight param @enc.in_proj.bias param @enc.conv.weight param @enc.norm.weight
    param @enc.out.weight
    function @enc(%x: f32[batch B, channel 64, unit 1, time T]) {
        %w = parameter @enc.in_proj.weight
        %b = parameter @enc.in_proj.bias
        %a = conv2d(%x, %w, %b)
        %c = parameter @enc.conv.weight
        %d = conv2d(%a, %c, groups = 16, pad = [8, 0])
        %n = parameter @enc.norm.weight
        %e = layer_norm(%d, %n)
        %o = parameter @enc.out.weight
        %y = conv2d(%e, %o)
        return out = %y
    }"""


def program(*rules: str) -> str:
    return f"program @m {{ dim B: batch dim T: time quantize {{ {' '.join(rules)} }} {BODY} }}"


def marks(rewrites, *rules: str):
    made, context = rewrites(AnnotateQuantization, program(*rules))
    return {name: p.quantization for name, p in made.parameters.items() if p.quantization}, context


def test_the_first_rule_that_matches_wins(rewrites):
    found, _ = marks(rewrites, '"enc.**.{in_proj, conv}": int4(bits = 4)', '"**": int8(bits = 8)')
    assert found == {
        "enc.in_proj.weight": Quantization("int4", 4),
        "enc.conv.weight": Quantization("int4", 4),
        "enc.out.weight": Quantization("int8", 8),
    }


def test_none_leaves_in_fp16(rewrites):
    found, context = marks(rewrites, '"enc.out": none', '"**": int8(bits = 8)')
    assert "enc.out.weight" not in found
    assert ("annotate-quantization", "enc.out.weight", "fp16: the rule says none") in context.explanations


def test_palettes_are_kept_from_depthwise_convolutions_and_odd_groups(rewrites):
    found, context = marks(rewrites, '"**": palette(bits = 4, group = 32)')
    assert found == {"enc.in_proj.weight": Quantization("palette", 4, 32)}
    reasons = {where: why for _, where, why in context.explanations}
    assert "ANE-QT-015" in reasons["enc.conv.weight"]
    assert "do not divide into groups of 32" in reasons["enc.out.weight"]


def test_small_weights_stay(rewrites):
    made, context = rewrites(
        AnnotateQuantization,
        """program @m { dim B: batch dim T: time quantize { "**": int8(bits = 8) }
        source @w: f32[16, 4, 1, 1] = normal() param @w
        function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
            %w = parameter @w %y = conv2d(%x, %w) return out = %y } }""",
    )
    assert made.parameters["w"].quantization is None
    assert "16 rows of 4 entries" in context.explanations[0][2]


def test_matrices_of_a_scan_are_never_marked(rewrites):
    text = """program @m { dim B: batch dim T: time quantize { "**": int8(bits = 8) }
        source @A: f32[256, 16] = constant(value = -1.0) param @A
        function @f(%x: f32[batch B, channel 256, unit 1, time T], %b: f32[batch B, channel 16, unit 1, time T]) {
            %a = parameter @A %y, %h = selective_scan(%x, %x, %a, %b, %b) return out = %y } }"""
    made, _ = rewrites(AnnotateQuantization, text, text)
    assert made.parameters["A"].quantization is None


def test_a_rule_that_matches_nothing_is_a_warning(rewrites):
    _, context = marks(rewrites, '"encoder.**": int8(bits = 8)', '"**": none', '"enc.out": int8(bits = 8)')
    warnings = [why for _, _, why in context.explanations if why.startswith("warning")]
    assert warnings == [
        "warning: encoder.** matches no parameter",
        "warning: every parameter that enc.out matches is taken by an earlier rule",
    ]


def test_a_derived_parameter_is_matched_by_the_name_in_the_spec():
    text = """program @m { dim B: batch dim U: label quantize { "p.table": int8(bits = 8) }
        source @p.table.weight: f32[64, 64] = normal() param @p.table.weight
        function @p(%token: i32[batch B, unit 1, unit 1, label U] < 64) {
            %t = parameter @p.table.weight %e = embedding(%token, %t) %y = linear(%e, %t) return out = %y } }"""
    made = AnnotateQuantization().run(LinearToConv().run(parse_program(text), Context()), Context())
    assert {name: p.quantization for name, p in made.parameters.items()} == {
        "p.table.weight": Quantization("int8", 8),
        "p.table.weight.reshape": Quantization("int8", 8),
    }


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('"**": int4(bits = 4, group = 32)', "ANE-QT-001"),
        ('"**": palette(bits = 4, group = 4)', "ANE-QT-003"),
    ],
)
def test_granularities_that_leave_the_engine_are_errors_unless_forced(rule, words):
    with pytest.raises(QuantizationError, match=words) as error:
        AnnotateQuantization().run(parse_program(program(rule)), Context())
    assert error.value.hint
    AnnotateQuantization(forced=True).run(parse_program(program(rule)), Context())


@pytest.mark.parametrize(("device", "taps", "marked"), [(None, 13, True), ("m1", 14, False), ("m4", 15, True)])
def test_a_kernel_that_is_cut_for_the_device_stays_in_fp16(rewrites, device, taps, marked):
    text = f"""program @m {{ dim B: batch dim T: time quantize {{ "**": int8(bits = 8) }}
        source @w: f32[16, 16, 1, {taps}] = normal() param @w
        function @f(%x: f32[batch B, channel 16, unit 1, time T]) {{
            %w = parameter @w %y = conv2d(%x, %w, pad = [{taps - 1}, 0]) return y = %y }} }}"""
    made, context = rewrites(AnnotateQuantization, text, device=device)
    assert (made.parameters["w"].quantization is not None) == marked
    assert marked or "its pieces would have other scales" in context.explanations[0][2]


def tied(rows: int, rule: str, padded: int = 0) -> str:
    """A table that is looked up and is an output layer, as two forms of one tensor."""
    wide = rows + padded
    return f"""program @m {{ dim B: batch dim U: label quantize {{ "table": {rule} }}
        source @table: f32[{rows}, 32] = normal()
        param @table = pad(@table, axis = 0, after = {padded}): f32[{wide}, 32]
        param @table.reshape = reshape(@table, axes = [plain {rows}, plain 32, plain 1, plain 1])
        function @p(%t: i32[batch B, unit 1, unit 1, label U] < {rows}) {{
            %w = parameter @table %y = embedding(%t, %w) return y = %y }}
        function @j(%x: f32[batch B, channel 32, unit 1, label U]) {{
            %w = parameter @table.reshape %y = conv2d(%x, %w) return y = %y }} }}"""


@pytest.mark.parametrize(
    "rule", ["int8(bits = 8)", "int4(bits = 4)", "palette(bits = 6)", "palette(bits = 8, group = 8)"]
)
def test_a_table_that_is_an_output_layer_too_has_a_scale_for_each_row_in_both(rewrites, rule):
    made, _ = rewrites(AnnotateQuantization, tied(96, rule, 32))
    found = [made.parameters[name].quantization for name in ("table", "table.reshape")]
    assert found[0] is not None
    assert found[0] == found[1]
    assert found[0].axis == 0


def test_the_columns_of_a_table_alone_are_its_output_channels(rewrites):
    text = """program @m { dim B: batch dim U: label quantize { "**": int8(bits = 8) }
        source @t: f32[64, 64] = normal() param @t
        function @p(%token: i32[batch B, unit 1, unit 1, label U] < 64) {
            %t = parameter @t %y = embedding(%token, %t) return out = %y } }"""
    made, _ = rewrites(AnnotateQuantization, text)
    assert made.parameters["t"].quantization == Quantization("int8", 8, axis=1)


def test_both_forms_of_a_tied_table_are_compressed_or_neither(rewrites):
    made, _ = rewrites(AnnotateQuantization, tied(50, "int8(bits = 8)", 14))  # padded, it is large enough
    assert all(made.parameters[name].quantization is not None for name in ("table", "table.reshape"))
    made, _ = rewrites(AnnotateQuantization, tied(50, "int8(bits = 8)"))
    assert all(made.parameters[name].quantization is None for name in ("table", "table.reshape"))
    made, _ = rewrites(AnnotateQuantization, tied(100, "palette(bits = 4, group = 16)", 28))  # does not divide the one
    assert all(made.parameters[name].quantization is None for name in ("table", "table.reshape"))
