"""Activations in 8 bits: where the pass puts them, what it leaves and says, and that it changes nothing else."""

from __future__ import annotations

import pytest

from mctc.ir.text import parse_program, print_program
from mctc.passes.annotate_quantization import AnnotateQuantization
from mctc.passes.quantize_activations import QuantizeActivations
from mctc.rewrite.base import Context
from mctc.rewrite.validate import ValidationError, validate

HEAD = """program @m { dim B: batch dim T: time dim U: label
    source @c.up.weight: f32[64, 64] = kaiming_uniform(fan_in = 64)
    source @c.conv.weight: f32[64, 64, 3] = kaiming_uniform(fan_in = 192)
    source @c.deep.weight: f32[64, 16, 4] = kaiming_uniform(fan_in = 64)
    source @c.lstm.weight_ih: f32[256, 64] = normal(std = 0.1)
    source @c.lstm.weight_hh: f32[256, 64] = normal(std = 0.1)
    source @c.wide.weight: f32[512, 64] = kaiming_uniform(fan_in = 64) """
NAMES = ("c.up.weight", "c.conv.weight", "c.deep.weight", "c.wide.weight", "c.lstm.weight_ih", "c.lstm.weight_hh")
X = "%x: f32[batch B, time T, channel 64]"
BEFORE = (
    HEAD
    + """param @c.up.weight as int8(bits = 8, activations = 8) param @c.conv.weight as int4(bits = 4, activations = 8)
    param @c.wide.weight as int8(bits = 8)
    function @c(%x: f32[batch B, time T, channel 64]) {
        %u = parameter @c.up.weight %a = linear(%x, %u)
        %k = parameter @c.conv.weight %b = conv1d(%a, %k, pad = [2, 0])
        %w = parameter @c.wide.weight %y = linear(%b, %w)
        return out = %y } }"""
)
AFTER = (
    HEAD
    + """source @c.up_input.scale: f32[] = constant(value = 0.031496062992125984)
    source @c.conv_input.scale: f32[] = constant(value = 0.031496062992125984)
    param @c.up.weight as int8(bits = 8) param @c.conv.weight as int4(bits = 4) param @c.wide.weight as int8(bits = 8)
    param @c.up_input.scale param @c.conv_input.scale
    function @c(%x: f32[batch B, time T, channel 64]) {
        %u = parameter @c.up.weight
        %s = parameter @c.up_input.scale %q = fake_quantize(%x, %s) %a = linear(%q, %u)
        %k = parameter @c.conv.weight
        %r = parameter @c.conv_input.scale %p = fake_quantize(%a, %r) %b = conv1d(%p, %k, pad = [2, 0])
        %w = parameter @c.wide.weight %y = linear(%b, %w)
        return out = %y } }"""
)


def quantized(text: str, **options: str) -> tuple[str, Context]:
    context = Context(**options)
    marked = AnnotateQuantization().run(parse_program(text), context)
    made = QuantizeActivations().run(marked, context)
    validate(QuantizeActivations(), marked, made)
    return print_program(made), context


def of(rules: str, body: str, device: str | None = None) -> tuple[str, Context]:
    params = " ".join(f"param @{name}" for name in NAMES)
    text = f"{HEAD} {params} quantize {{ {rules} }} function @c({X}) {{ {body} return out = %y }} }}"
    return quantized(text, **({} if device is None else {"device": device}))


def test_a_layer_takes_its_x_through_a_scale_beside_its_weight(rewrites):
    made, _ = rewrites(QuantizeActivations, BEFORE, AFTER)
    paths = [op.origin.path for _, op in made.ops() if op.name == "fake_quantize"]
    assert paths == ["c.up_input", "c.conv_input"]


def test_nothing_is_quantised_that_was_not_asked_for(rewrites):
    plain = BEFORE.replace(", activations = 8", "")
    rewrites(QuantizeActivations, plain, plain)


def test_the_rule_that_decides_about_a_weight_decides_about_its_inputs():
    made, context = of(
        '"c.wide": int8(bits = 8) "**": int8(bits = 8, activations = 8)',
        "%u = parameter @c.up.weight %a = linear(%x, %u) %w = parameter @c.wide.weight %y = linear(%a, %w)",
    )
    assert made.count("fake_quantize") == 1
    assert "c.up_input.scale" in made
    assert not context.warnings


def test_a_convolution_in_groups_keeps_its_activations_and_a_warning_names_it():
    made, context = of(
        '"**": int8(bits = 8, activations = 8)',
        "%d = parameter @c.deep.weight %y = conv1d(%x, %d, groups = 4, pad = [3, 0])",
    )
    assert "fake_quantize" not in made
    (warning,) = context.warnings
    assert warning.message.startswith("activations of `c.deep.weight` stay in fp16: a convolution in groups")


def test_a_layer_whose_weight_stays_in_fp16_is_named_though_another_takes_the_rule():
    body = "%u = parameter @c.up.weight %a = linear(%x, %u) %t = parameter @c.thin.weight %y = linear(%a, %t)"
    head = f"{HEAD} source @c.thin.weight: f32[2, 64] = kaiming_uniform(fan_in = 64)"
    rule = '"**": int8(bits = 8, activations = 8)'
    parameters = "param @c.up.weight param @c.thin.weight"
    made, context = quantized(
        f"{head} {parameters} quantize {{ {rule} }} function @c({X}) {{ {body} return out = %y }} }}"
    )
    assert made.count("fake_quantize") == 1
    (warning,) = context.warnings
    assert warning.message == "activations of `c.thin.weight` stay in fp16: so does the weight"


def test_a_recurrent_layer_keeps_its_activations():
    made, context = of(
        '"**": int8(bits = 8, activations = 8)',
        """%i = parameter @c.lstm.weight_ih %h = parameter @c.lstm.weight_hh
        %l, %n, %m = lstm(%x, %i, %h) %w = parameter @c.wide.weight %y = linear(%l, %w)""",
    )
    assert made.count("fake_quantize") == 1
    (warning,) = context.warnings
    assert "`c.lstm.weight_hh`" in warning.message
    assert "`lstm` is no linear layer" in warning.message


def test_a_weight_read_at_two_places_has_a_scale_at_each():
    made, _ = of(
        '"**": int8(bits = 8, activations = 8)',
        "%u = parameter @c.up.weight %a = linear(%x, %u) %b = silu(%a) %y = linear(%b, %u)",
    )
    assert "c.up_input.scale" in made
    assert "c.up_input_2.scale" in made


def test_a_device_without_an_int8_path_is_told():
    body = "%u = parameter @c.up.weight %y = linear(%x, %u)"
    rule = '"**": int8(bits = 8, activations = 8)'
    assert not of(rule, body)[1].warnings
    assert not of(rule, body, "M4")[1].warnings
    (warning,) = of(rule, body, "M1")[1].warnings
    assert "no int8 path (ANE-QT-009)" in warning.message


def test_a_pass_that_changes_more_than_activations_breaks_the_promise():
    program = parse_program(BEFORE)
    broken = parse_program(AFTER.replace("linear(%b, %w)", "linear(%p, %w)"))
    with pytest.raises(ValidationError, match="promised quantizes"):
        validate(QuantizeActivations(), program, broken)
