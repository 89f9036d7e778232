"""Every op in MLX's words: what mlx computes is what the op's numpy reference says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.ir.program import Op
from mctc.passes.channels_first import ChannelsFirst
from mctc.rewrite.base import Context
from mctc.rewrite.rewriter import RewriteError
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, call, named, negative
from tests.targets.onnx.test_ops import ATTENTIONS, X, catalogued, line_program, values

from .executed import assert_executes, laid_out

MEETINGS = [
    ("f32[batch B, time T, channel 8]", "f32[batch B, label U, channel 8]"),
    ("f32[batch B, time T, channel 8]", "f32[8]"),
    ("f32[batch B, time T, channel 8]", "f32[]"),
    ("f32[batch B, channel 8, unit 1, time T]", "f32[8, 1, 1]"),
]


# A parameter that belongs to no component has no place in a module; every other op's test has some.
OPS = [each for each in catalogued() if not str(each.id).startswith("parameter")]


@pytest.mark.parametrize(("inputs", "line"), OPS)
def test_an_op_computes_what_its_reference_does(inputs: dict[str, str], line: str, tmp_path: Path) -> None:
    """As the spec has it, and behind the passes that lay it out."""
    program = line_program(inputs, line)
    assert_executes(program, tmp_path, values(program.functions["f"]))
    try:
        made = laid_out(ChannelsFirst().run(program, Context()))
    except RewriteError:
        return  # it has no laid-out form
    assert_executes(made, tmp_path, values(made.functions["f"]))


WRITES = {
    "x": X,
    "t": "f32[batch B, time T, channel 2]",
    "B": "f32[batch B, time T, channel 4]",
    "z": "f32[batch B, channel 4, feature 2]",
    "m": "f32[time T]",
}


@pytest.mark.parametrize(
    "line",
    [
        "ssd(%x, %t, %n, %B, %B, none, none, %m, %t)",
        "ssd(%x, %B, %n, %x, %B, none, none, none, groups = 2)",
        "ssd(%x, %B, %n, %B, %B, %d, %z, %m, %B)",
    ],
)
def test_a_scan_has_a_decay_of_each_frame_and_several_writes_and_reads(line: str, tmp_path: Path) -> None:
    inputs = WRITES | {"d": "f32[2]"}
    used = {name: type_ for name, type_ in inputs.items() if f"%{name}" in f"{line}%t"}
    program = line_program(used, "%n = neg(%t)", f"%0, %1 = {line}")
    for made in (program, laid_out(ChannelsFirst().run(program, Context()))):
        assert_executes(made, tmp_path, values(made.functions["f"], {"B": 2, "T": 70}))


def test_an_op_without_a_rule_is_written_as_for_torch_in_words_of_mlx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-x by way of two more frames, clamped to numbers that x does not reach."""
    from mctc.targets.mlx.expressions import RULES, TORCH

    def roundabout(op: Op, use: Application) -> Expression:
        x = use["x"].padded(1, 3, (2, 0), 9.0).indexed(1, 3, "2:").method("clamp", -99.0, 99.0)
        return negative(x.joined([x], 1).indexed(1, 3, ":-8"))

    assert "neg" not in RULES
    monkeypatch.setitem(TORCH, "neg", roundabout)
    program = line_program({"x": X}, "neg(%x)")
    assert_executes(program, tmp_path, values(program.functions["f"], {"B": 2, "T": 8}))


@pytest.mark.parametrize("word", ["torch", "method"])
def test_an_op_whose_torch_text_is_torch_s_own_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.targets.mlx.expressions import TORCH, UnsupportedError, expression

    forms = {
        "torch": lambda op, use: call(named("torch.neg"), use["x"]),
        "method": lambda op, use: use["x"].method("neg"),
    }
    monkeypatch.setitem(TORCH, "neg", forms[word])
    (op,) = line_program({"x": X}, "neg(%x)").functions["f"].ops
    with pytest.raises(UnsupportedError, match=r"no form of neg|no word for the method neg"):
        expression(op, ["x"])


@pytest.mark.parametrize(("left", "right"), MEETINGS)
def test_operands_meet_by_role(left: str, right: str, tmp_path: Path) -> None:
    for line in ("sub(%x, %y)", "sub(%y, %x)"):
        program = laid_out(line_program({"x": left, "y": right}, line))
        assert_executes(program, tmp_path, values(program.functions["f"]))


@pytest.mark.parametrize("how", ATTENTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_sees_its_band_of_the_keys_that_exist(how: str, masked: bool, tmp_path: Path) -> None:
    keys = "f32[batch B, time T, channel 4]" if "kv_heads" in how else X
    inputs = {"x": X, "k": keys, "v": keys} | ({"mask": "f32[time T]"} if masked else {})
    program = line_program(inputs, f"attention(%x, %k, %v, {'%mask, ' if masked else ''}{how})")
    for frames in (1, 8):
        assert_executes(program, tmp_path, values(program.functions["f"], {"B": 2, "T": frames}))


def test_labels_attend_along_frames_each_for_themselves(tmp_path: Path) -> None:
    inputs = {"x": "f32[batch B, time T, label U, channel 8]", "mask": "f32[batch B, time T]"}
    program = line_program(inputs, "attention(%x, %x, %x, %mask, heads = 2, left = 1, right = 0)")
    assert_executes(program, tmp_path, values(program.functions["f"]))


def test_cells_and_convolutions_run_along_frames_that_stand_before_labels(tmp_path: Path) -> None:
    inputs = {"x": "f32[batch B, time T, label U, channel 4]", "w": "f32[6, 4, 3]"}
    program = line_program(inputs, "conv1d(%x, %w, pad = [2, 0])")
    assert_executes(program, tmp_path, values(program.functions["f"]))
    inputs = {"x": "f32[batch B, time T, label U, channel 4]", "i": "f32[9, 4]", "h": "f32[9, 3]"}
    program = line_program(inputs, "%0, %1 = gru(%x, %i, %h)")
    assert_executes(program, tmp_path, values(program.functions["f"]))


def test_a_convolution_over_features_keeps_its_kernel(tmp_path: Path) -> None:
    inputs = {"x": "f32[batch B, time T, feature 6, channel 2]", "w": "f32[4, 1, 3, 2]"}
    how = "stride = [2, 1], groups = 2, pad = [1, 0], pad_feature = [1, 1]"
    program = line_program(inputs, f"conv2d(%x, %w, {how})")
    assert_executes(program, tmp_path, values(program.functions["f"]))
