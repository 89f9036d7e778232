"""Dense layers become 1x1 convolutions; their parameters keep their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.passes.linear_to_conv import LinearToConv
from mctc.weights import Weights

SOURCES = "dim B: batch dim T: time @ 100 source @p.weight: f32[6, 4] = normal() source @p.bias: f32[6] = normal()"
BEFORE = f"""program @m {{ {SOURCES} param @p.weight param @p.bias
    function @f(%x: f32[batch B, channel 4, unit 1, time T]) {{
        %w = parameter @p.weight
        %b = parameter @p.bias
        %y = linear(%x, %w, %b)
        return out = %y
    }} }}"""


def test_linear_becomes_a_1x1_convolution_of_the_same_parameter(rewrites):
    after = f"""program @m {{ {SOURCES}
        param @p.weight: f32[6, 4, 1, 1] = reshape(@p.weight, axes = [plain 6, plain 4, plain 1, plain 1])
        param @p.bias
        function @f(%x: f32[batch B, channel 4, unit 1, time T]) {{
            %b = parameter @p.bias
            %w = parameter @p.weight
            %y = conv2d(%x, %w, %b): f32[batch B, channel 6, unit 1, time T]
            return out = %y
        }} }}"""
    rewrites(LinearToConv, BEFORE, after)


def test_a_checkpoint_binds_in_the_shape_before_and_after(rewrites, tmp_path: Path):
    made, _ = rewrites(LinearToConv, BEFORE)
    weight = np.arange(24, dtype=np.float32).reshape(6, 4)
    for shape in ((6, 4), (6, 4, 1, 1)):
        path = tmp_path / "model.safetensors"
        save_file({"p.weight": weight.reshape(shape), "p.bias": np.zeros(6, np.float32)}, path)
        value = Weights.load(made, path).value(made.parameters["p.weight"])
        assert np.array_equal(value, weight.reshape(6, 4, 1, 1))


def test_a_weight_that_an_embedding_reads_too_keeps_both_forms(rewrites):
    made, _ = rewrites(
        LinearToConv,
        """program @m { dim B: batch dim U: label source @table: f32[8, 4] = normal() param @table
        function @f(%token: i32[batch B, unit 1, unit 1, label U] < 8) {
            %t = parameter @table
            %e = embedding(%token, %t)
            %y = linear(%e, %t)
            return out = %y
        } }""",
    )
    assert {name: parameter.type.shape for name, parameter in made.parameters.items()} == {
        "table": (8, 4),
        "table.reshape": (8, 4, 1, 1),
    }


def test_output_classes_stay_a_vocabulary(rewrites):
    made, _ = rewrites(
        LinearToConv,
        """program @m { dim B: batch dim T: time source @w: f32[vocabulary 8, 4] = normal() param @w
        function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
            %w = parameter @w
            %y = linear(%x, %w)
            return out = %y
        } }""",
    )
    ((_, result),) = made.functions["f"].results
    assert result.type.roles[1].value == "vocabulary"


def test_rows_of_feature_and_label_stand_in_one_axis_meanwhile(rewrites):
    head = "program @m { dim B: batch dim T: time dim U: label source @w: f32[8, 4] = normal() "
    inputs = "function @f(%x: f32[batch B, channel 4, feature 3, label U, time T])"
    before = head + f"param @w {inputs} {{ %w = parameter @w %y = linear(%x, %w) return out = %y }} }}"
    after = f"""{head} param @w: f32[8, 4, 1, 1] = reshape(@w, axes = [plain 8, plain 4, plain 1, plain 1]) {inputs} {{
        %w = parameter @w
        %r = reshape(%x, axes = [batch B, channel 4, feature 3*U, time T])
        %c = conv2d(%r, %w)
        %y = reshape(%c, axes = [batch B, channel 8, feature 3, label U, time T])
        return out = %y
    }} }}"""
    rewrites(LinearToConv, before, after)


def test_a_tensor_without_a_sequence_is_convolved_too(rewrites):
    made, _ = rewrites(
        LinearToConv,
        """program @m { dim B: batch source @w: f32[8, 4] = normal() param @w
        function @f(%x: f32[batch B, channel 4, unit 1, unit 1]) {
            %w = parameter @w
            %y = linear(%x, %w)
            return out = %y
        } }""",
    )
    assert [op.name for op in made.functions["f"].ops] == ["parameter", "conv2d"]


def test_a_tensor_that_is_not_laid_out_stays_linear_and_says_so(rewrites):
    text = """program @m { dim B: batch dim T: time source @w: f32[8, 4] = normal() param @w
        function @f(%x: f32[batch B, time T, channel 4]) {
            %w = parameter @w
            %y = linear(%x, %w)
            return out = %y
        } }"""
    _, context = rewrites(LinearToConv, text, text)
    assert "stays linear" in context.explanations[0][2]
