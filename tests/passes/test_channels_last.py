"""The layout of channels-first taken back: (batch, time, label, feature, channel), for the stack that wants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.driver.compile import program_at
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.shape import Transpose
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.passes.affine_codes import AffineCodes
from mctc.passes.channels_last import ChannelsLast
from mctc.rewrite.base import Context
from mctc.rewrite.validate import validate

HEAD = "dim B: batch dim T: time @ 100"
KERNEL = "reshape(@p.weight, axes = [plain 6, plain 4, plain 1, plain 1]): f32[6, 4, 1, 1]"
TAPS = "reshape(@k.weight, axes = [plain 6, plain 1, plain 1, plain 3]): f32[6, 1, 1, 3]"
LAID = "f32[batch B, unit 1, unit 1, time T]"


def test_a_laid_out_program_gets_its_channels_last_and_its_layers_back(rewrites) -> None:
    before = f"""program @m {{ {HEAD} source @p.weight: f32[6, 4] = normal() source @k.weight: f32[6, 1, 3] = normal()
        param @p.weight: f32[6, 4, 1, 1] = {KERNEL}
        param @k.weight: f32[6, 1, 1, 3] = {TAPS}
        function @f(%x: f32[batch B, channel 4, unit 1, time T]) {{
            %w = parameter @p.weight
            %y = conv2d(%x, %w)
            %k = parameter @k.weight
            %z = conv2d(%y, %k, groups = 6, pad = [2, 0])
            return out = %z
        }} }}"""
    after = f"""program @m {{ {HEAD} source @p.weight: f32[6, 4] = normal() source @k.weight: f32[6, 1, 3] = normal()
        param @p.weight: f32[6, 4] = reshape({KERNEL}, axes = [plain 6, plain 4])
        param @k.weight: f32[6, 1, 3] = reshape({TAPS}, axes = [plain 6, plain 1, plain 3])
        function @f(%x: f32[batch B, time T, channel 4]) {{
            %w = parameter @p.weight
            %y = linear(%x, %w)
            %k = parameter @k.weight
            %z = conv1d(%y, %k, groups = 6, pad = [2, 0])
            return out = %z
        }} }}"""
    rewrites(ChannelsLast, before, after, stack="mlx")
    rewrites(ChannelsLast, before, before)


def test_frames_are_regrouped_beside_the_channels_without_a_transpose(rewrites) -> None:
    before = f"""program @m {{ {HEAD} function @f(%x: f32[batch B, channel 4, time T, feature 2]) {{
            %y = reshape(%x, axes = [batch B, channel 4, unit 1, time 2*T])
            return y = %y
        }} }}"""
    after = f"""program @m {{ {HEAD} function @f(%x: f32[batch B, time T, feature 2, channel 4]) {{
            %y = reshape(%x, axes = [batch B, time 2*T, channel 4])
            return y = %y
        }} }}"""
    rewrites(ChannelsLast, before, after, stack="mlx")


def test_channels_that_are_regrouped_with_frames_take_a_transpose(rewrites) -> None:
    program = f"""program @m {{ {HEAD} function @f(%x: f32[batch B, channel 4, unit 1, time T]) {{
            %y = reshape(%x, axes = [batch B, channel 2, feature 2, time T])
            return y = %y
        }} }}"""
    after = f"""program @m {{ {HEAD} function @f(%x: f32[batch B, time T, channel 4]) {{
            %t = transpose(%x, order = [0, 2, 1])
            %r = reshape(%t, axes = [batch B, channel 2, feature 2, time T])
            %y = transpose(%r, order = [0, 3, 2, 1])
            return y = %y
        }} }}"""
    rewrites(ChannelsLast, program, after, stack="mlx")


def test_vectors_that_met_the_channels_by_position_meet_them_last(rewrites) -> None:
    text = f"""program @m {{ {HEAD}
        function @f(%x: f32[batch B, channel 4, unit 1, time T], %v: f32[4, 1, 1], %m: {LAID}) {{
            %y = mul(%x, %v)
            %z = add(%y, %m)
            return out = %z
        }} }}"""
    made, _ = rewrites(ChannelsLast, text, stack="mlx")
    assert str(made.functions["f"].results[0][1].type) == "f32[batch B, time T, channel 4]"


def test_a_table_that_is_an_output_layer_too_is_one_parameter(rewrites) -> None:
    text = f"""program @m {{ {HEAD} dim U: label source @t: f32[vocabulary 8, 4] = normal()
        param @t
        param @t.reshape: f32[vocabulary 8, 4, 1, 1] = reshape(@t, axes = [vocabulary 8, plain 4, plain 1, plain 1])
        function @f(%u: i32[batch B, unit 1, unit 1, label U] < 8) {{
            %t = parameter @t
            %x = embedding(%u, %t)
            %w = parameter @t.reshape
            %y = conv2d(%x, %w)
            return out = %y
        }} }}"""
    made, _ = rewrites(ChannelsLast, text, stack="mlx")
    assert list(made.parameters) == ["t"]


SPECS = ["conformer_streaming", "mct_tiny", "whisper_tiny", "rnnt_lstm"]


def _compiled(root: Path, name: str) -> Program:
    small = {"whisper_tiny": {"width": 16, "depth": 1, "heads": 2, "vocab": 40, "frames": 16, "labels": 8}}
    defines = small.get(name, {"width": 16, "depth": 1, "vocab": 20})
    defines |= {"heads": 2, "inner": 24, "kernel": 5} if name == "conformer_streaming" else {}
    return program_at(elaborate_file(root / f"spec/{name}.mct", defines=defines), after="annotate-quantization")


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.quick("mct_tiny", "conformer_streaming")
def test_a_model_computes_the_same_without_transposes(name: str, root: Path) -> None:
    program = _compiled(root, name)
    made = ChannelsLast().run(program, Context(stack="mlx"))
    assert validate(ChannelsLast(), program, made) < 1e-9
    assert not [op for _, op in made.ops() if isinstance(op, Transpose)]
    assert all(op.x.type.roles[-1].is_channel for _, op in made.ops() if isinstance(op, Conv2d))


def test_layers_keep_their_codes_and_all_else_that_is_quantised_is_fp16(root: Path) -> None:
    program = elaborate_file(root / "spec/mct_small.mct", defines={"width": 64, "depth": 1, "vocab": 20})
    common = program_at(program, after="annotate-quantization")
    context = Context(stack="mlx")
    made = AffineCodes().run(ChannelsLast().run(common, context), context)
    held = {name: p.quantization for name, p in made.parameters.items() if p.quantization is not None}
    codes = {name for name, how in held.items() if how.wide}
    assert "encoder.layers.0.mamba.in_proj.weight" in codes
    assert "predictor.lstm.weight_ih" in held.keys() - codes
    assert all(how.expanded for name, how in held.items() if name not in codes)
    assert validate(AffineCodes(), common, AffineCodes().run(common, context)) < 0.2
    assert AffineCodes().run(common, Context()) is common
