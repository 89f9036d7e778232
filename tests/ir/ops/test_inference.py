"""What ops refuse, in words that name the operand and the sizes; and the types that they give."""

from __future__ import annotations

from typing import Any

import pytest

from mctc.ir.build import Builder
from mctc.ir.op import InferenceError
from mctc.ir.program import Program
from mctc.ir.syntax import IrSyntaxError
from mctc.ir.text import parse_program

X = "f32[batch B, time T, channel 4]"


def apply(line: str, **types: str) -> str:
    """The result types of one line over inputs %x, %y, ... of the types given."""
    inputs = ", ".join(f"%{name}: {type_}" for name, type_ in types.items())
    program = parse_program(f"function @f({inputs}) {{\n%0 = {line}\n}}")
    (op,) = program.functions["f"].ops
    return ", ".join(str(result.type) for result in op.results)


REFUSED: list[tuple[str, dict[str, str], str]] = [
    ("relu(%x)", {"x": "i32[4]"}, "relu needs a floating-point tensor, not i32[4]"),
    ("relu()", {}, "relu needs operand x"),
    ("relu(%x, %x)", {"x": X}, "relu takes 1 operands, not 2"),
    ("relu(%x, slope = 1)", {"x": X}, "relu has no attribute slope (it has: none)"),
    ("add(%x, %y)", {"x": X, "y": "i32[4]"}, "the element types differ: f32 and i32"),
    ("add(%x, %y)", {"x": X, "y": "f32[5]"}, "do not fit together"),
    ("add(%x, %y)", {"x": X, "y": "f32[batch B, time T/2, channel 4]"}, "the time axes differ: T and T/2"),
    ("scale(%x)", {"x": "i32[2]"}, "arithmetic with a number needs a floating-point tensor"),
    ("scale(%x, factor = a)", {"x": X}, "factor must be a number, not 'a'"),
    ("dropout(%x, rate = 1)", {"x": X}, "rate is a probability from 0 to below 1, not 1"),
    ("dropout(%x, rate = -0.1)", {"x": X}, "rate is a probability from 0 to below 1, not -0.1"),
    ("dropout(%x, rate = true)", {"x": X}, "rate is a probability from 0 to below 1, not True"),
    ("dropout(%x)", {"x": X}, "dropout needs attribute rate"),
    ("dropout(%x, rate = 0.1, kind = row)", {"x": X}, "no kind 'row'; there are element, channel, time, utterance"),
    ("dropout(%x, rate = 0.1, kind = time)", {"x": "f32[batch B, channel 4]"}, "no axis for the kind time"),
    ("dropout(%x, rate = 0.1)", {"x": "i32[4]"}, "dropout needs a floating-point tensor"),
    (
        "layer_drop(%x, %y, rate = 0.1)",
        {"x": X, "y": "f32[4]"},
        "what a layer gives is f32[batch B, time T, channel 4]",
    ),
    ("layer_drop(%x, %x, rate = 1.5)", {"x": X}, "rate is a probability from 0 to below 1, not 1.5"),
    ("clip(%x, low = 2.0, high = 1.0)", {"x": X}, "low 2.0 is above high 1.0"),
    ("clip(%x)", {"x": X}, "clip needs attribute low"),
    ("cast(%x, dtype = f64)", {"x": X}, "there is no element type 'f64'"),
    ("linear(%x, %w)", {"x": "f32[4]", "w": "f32[3, 4]"}, "f32[4] has no channel axis"),
    ("linear(%x, %w)", {"x": X, "w": "f32[3]"}, "the weight must be [out, in], not f32[3]"),
    ("linear(%x, %w)", {"x": X, "w": "f32[3, 5]"}, "the weight takes 5 channels, but x has 4"),
    ("linear(%x, %w, %b)", {"x": X, "w": "f32[3, 4]", "b": "f32[4]"}, "the bias has shape f32[4], but there are 3"),
    ("embedding(%x, %w)", {"x": "f32[batch B]", "w": "f32[9, 2]"}, "token ids must be i32, not f32"),
    ("embedding(%x, %w)", {"x": "i32[batch B]", "w": "f32[9]"}, "the table must be [entries, width]"),
    (
        "embedding(%x, %w)",
        {"x": "i32[batch B] < 10", "w": "f32[9, 2]"},
        "token ids go up to 9, but the table has 9 rows",
    ),
    ("positional_embedding(%x, %w)", {"x": "f32[batch B, channel 4]", "w": "f32[9, 2]"}, "no time or label axis"),
    *(
        (f"attention(%x, %k, %k, heads = 2, {bounds})", {"x": X, "k": k}, f"q goes along time T, k along {along}")
        for bounds in ("left = 1, right = 0", "left = 3", "right = 0", "within = 4")
        for k, along in (
            ("f32[batch B, time T/2, channel 4]", "time T/2"),
            ("f32[batch B, time 2*T, channel 4]", "time 2*T"),
            ("f32[batch B, time S, channel 4]", "time S"),
            ("f32[batch B, label U, channel 4]", "label U"),
        )
    ),
    (
        "relative_attention(%x, %k, %k, %p, %b, %b, heads = 2)",
        {"x": X, "k": "f32[batch B, time T/2, channel 4]", "p": "f32[4, 4]", "b": "f32[4]"},
        "frames of different sequences or rates have no distance",
    ),
    *(
        (
            line,
            {"x": "f32[batch B, time T, label U, channel 4]", "a": a, "b": "f32[batch B, time T, label U, channel 2]"},
            "has time and labels, and a scan runs along one sequence",
        )
        for line, a in (("selective_scan(%x, %x, %a, %b, %b)", "f32[4, 2]"), ("ssd(%x, %x, %a, %b, %b)", "f32[4]"))
    ),
    ("positional_embedding(%x, %w)", {"x": X, "w": "f32[9]"}, "the table must be [positions, width]"),
    (
        "positional_embedding(%x, %w)",
        {"x": "f32[time 10, channel 4]", "w": "f32[9, 2]"},
        "x has 10 frames, but the table has 9 rows",
    ),
    ("matmul(%x, %y)", {"x": "f32[2, 3]", "y": "f32[4, 2]"}, "cannot multiply f32[2, 3] by f32[4, 2]"),
    ("matmul(%x, %y)", {"x": "f32[2, 2, 3]", "y": "f32[3, 3, 2]"}, "do not broadcast"),
    ("conv1d(%x, %w)", {"x": "f32[batch B, channel 4]", "w": "f32[3, 4, 2]"}, "has no time or label axis"),
    ("conv1d(%x, %w)", {"x": X, "w": "f32[3, 4]"}, "the weight must be [out, in/groups, kernel]"),
    ("conv1d(%x, %w)", {"x": X, "w": "f32[3, 4, 3]"}, "does not give T frames"),
    ("conv1d(%x, %w, pad = [2, 0])", {"x": X, "w": "f32[3, 5, 3]"}, "the weight takes 1 x 5 channels, but x has 4"),
    ("conv1d(%x, %w, groups = 4)", {"x": X, "w": "f32[6, 1, 1]"}, "6 outputs do not divide into 4 groups"),
    ("conv1d(%x, %w, groups = 0)", {"x": X, "w": "f32[6, 1, 1]"}, "groups must be at least 1, not 0"),
    ("conv1d(%x, %w, stride = 0)", {"x": X, "w": "f32[6, 4, 1]"}, "stride must be at least 1, not 0"),
    ("conv1d(%x, %w, dilation = -1)", {"x": X, "w": "f32[6, 4, 1]"}, "dilation must be at least 1, not -1"),
    ("conv1d(%x, %w, pad = [1])", {"x": X, "w": "f32[3, 4, 2]"}, "pad must be two numbers, each at least 0, not [1]"),
    ("conv1d(%x, %w, stride = 1.5)", {"x": X, "w": "f32[3, 4, 2]"}, "stride must be a whole number, not 1.5"),
    (
        "conv1d(%x, %w)",
        {"x": "f32[time 3, channel 4]", "w": "f32[3, 4, 9]"},
        "a kernel that spans 9 does not fit 3 + 0 of padding",
    ),
    ("conv2d(%x, %w)", {"x": X, "w": "f32[3, 4, 2, 2]"}, "must have one axis besides batch, channel and time"),
    (
        "conv2d(%x, %w)",
        {"x": "f32[time T, feature 8, channel 4]", "w": "f32[3, 4]"},
        "the weight must be [out, in/groups, ",
    ),
    ("layer_norm(%x, %w)", {"x": X, "w": "f32[5]"}, "weight is f32[5], but x has 4 channels"),
    ("layer_norm(%x, epsilon = 0.0)", {"x": X}, "epsilon must be above 0, not 0.0"),
    ("softmax(%x, axis = time)", {"x": X}, "softmax over the time axis is not supported"),
    ("softmax(%x, axis = 3)", {"x": X}, "has no axis 3"),
    ("lstm(%x, %w, %u)", {"x": X, "w": "f32[8, 4]", "u": "f32[6, 2]"}, "weight_hh must be [4 * hidden, hidden]"),
    ("lstm(%x, %w, %u)", {"x": X, "w": "f32[8, 3]", "u": "f32[8, 2]"}, "weight_ih must be [8, 4], not f32[8, 3]"),
    (
        "lstm(%x, %w, %u, %b)",
        {"x": X, "w": "f32[8, 4]", "u": "f32[8, 2]", "b": "f32[2]"},
        "bias must be [8], not f32[2]",
    ),
    (
        "gru(%x, %w, %u, none, none, %h)",
        {"x": X, "w": "f32[6, 4]", "u": "f32[6, 2]", "h": "f32[batch B, channel 3]"},
        "h must be f32[batch B, channel 2], not f32[batch B, channel 3]",
    ),
    ("attention(%x, %x, %x, heads = 3)", {"x": X}, "4 channels do not divide into 3 heads"),
    ("attention(%x, %x, %x, heads = 4, kv_heads = 2)", {"x": X}, "k needs 2 channels, not 4"),
    (
        "attention(%x, %x, %y, heads = 2)",
        {"x": X, "y": "f32[batch B, time 3, channel 4]"},
        "different numbers of frames",
    ),
    ("attention(%x, %x, %x, heads = 2, left = -1)", {"x": X}, "left must be at least 0, not -1"),
    ("reshape(%x, axes = 3)", {"x": X}, "axes must be a list of (role, extent), not 3"),
    ("reshape(%x, axes = [3])", {"x": X}, "an axis must be (role, extent), not 3"),
    ("reshape(%x, axes = [[row, 3]])", {"x": X}, "there is no role 'row'"),
    ("slice(%x, axis = channel, end = a)", {"x": X}, "end must be a whole number, not 'a'"),
    ("split(%x)", {"x": X}, "either a number of equal parts or a list of sizes"),
    ("split(%x, parts = 3)", {"x": X}, "4 does not divide into 3 equal parts"),
    ("split(%x, sizes = [1, 2])", {"x": X}, "the sizes [1, 2] add up to 3, but the axis has 4"),
    ("split(%x, parts = 2, axis = label)", {"x": X}, "has no label axis"),
    ("concat()", {}, "concat needs at least one tensor"),
    ("concat(%x, %y)", {"x": X, "y": "f32[batch B, time 2, channel 4]"}, "axis 1 differs"),
    ("concat(%x, %y)", {"x": X, "y": "f32[channel 4]"}, "cannot join"),
    ("slice(%x, axis = channel, begin = 3, end = 2)", {"x": X}, "the slice 3:2:1 is empty or runs backwards"),
    ("slice(%x, axis = channel, begin = 3, end = 9)", {"x": X}, "the slice 3:9 is outside of an axis of 4"),
    ("slice(%x, axis = time, end = 3)", {"x": X}, "cannot slice 0:3:1 of an axis whose extent is T"),
    ("slice(%x, axis = time, begin = 1, stride = 2)", {"x": X}, "cannot slice 1::2 of an axis whose extent is T"),
    ("attention(%x, %x, %x, heads = 2, before = 3)", {"x": X}, "`before` counts frames before a block"),
    (
        "attention(%x, %x, %x, heads = 2, within = 2, left = 2)",
        {"x": X},
        "`left = 2` says nothing: in blocks of 2 frames",
    ),
    ("attention(%x, %x, %x, heads = 2, within = 2, before = 4, right = 2)", {"x": X}, "`right = 2` says nothing"),
    ("attention(%x, %x, %x, heads = 2, within = 2, before = -1)", {"x": X}, "`before` counts frames before it"),
    ("pad(%x, axis = time, before = -1)", {"x": X}, "padding cannot be negative"),
    ("reshape(%x, axes = [plain 3, plain 3])", {"x": "f32[4, 2]"}, "f32[4, 2] has 8 entries, the new shape 9"),
    ("transpose(%x, order = [0, 0, 1])", {"x": X}, "[0, 0, 1] is not an order of the 3 axes"),
    ("split_channels(%x, groups = 3)", {"x": X}, "4 channels do not divide into 3 groups"),
    ("split_channels(%x, groups = 2)", {"x": "f32[feature 2, channel 4]"}, "has a feature axis already"),
    ("merge_channels(%x)", {"x": X}, "has no feature axis to merge"),
    ("reverse(%x, axis = label)", {"x": X}, "has no label axis"),
    ("reduce_sum(%x, axis = feature)", {"x": X}, "has no feature axis"),
    (
        "selective_scan(%x, %x, %a, %x, %x)",
        {"x": X, "a": "f32[3, 4]"},
        "A must be [4, states], not f32[3, 4]",
    ),
    ("selective_scan(%x, %x, %a, %x, %x)", {"x": X, "a": "f32[4, 2]"}, "B must have 2 channels and the frames of x"),
    (
        "selective_scan(%x, %y, %a, %x, %x)",
        {"x": X, "y": "f32[channel 4]", "a": "f32[4, 4]"},
        "delta must have the shape",
    ),
]


@pytest.mark.parametrize(("line", "types", "message"), REFUSED, ids=lambda part: part if isinstance(part, str) else "")
def test_ops_refuse_what_does_not_fit(line: str, types: dict[str, str], message: str) -> None:
    with pytest.raises(IrSyntaxError) as caught:
        apply(line, **types)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "types", "result"),
    [
        ("conv1d(%x, %w, pad = [2, 0])", {"x": X, "w": "f32[3, 4, 3]"}, "f32[batch B, time T, channel 3]"),
        (
            "conv1d(%x, %w, stride = 2, pad = [1, 0])",
            {"x": X, "w": "f32[3, 4, 3]"},
            "f32[batch B, time T/2, channel 3]",
        ),
        ("conv1d(%x, %w)", {"x": "f32[label 9, channel 4]", "w": "f32[3, 4, 3]"}, "f32[label 7, channel 3]"),
        ("slice(%x, axis = time, stride = 2)", {"x": X}, "f32[batch B, time T/2, channel 4]"),
        ("slice(%x, axis = time, begin = 3)", {"x": X}, "f32[batch B, time T - 3, channel 4]"),
        ("slice(%x, axis = time, end = 1)", {"x": X}, "f32[batch B, time 1, channel 4]"),
        ("pad(%x, axis = time, after = 3)", {"x": X}, "f32[batch B, time T + 3, channel 4]"),
        ("embedding(%x, %w)", {"x": "i32[batch B, label U]", "w": "f32[9, 2]"}, "f32[batch B, label U, channel 2]"),
        ("positional_embedding(%x, %w)", {"x": X, "w": "f32[9, 2]"}, "f32[time T, channel 2]"),
        (
            "attention(%x, %x, %y, heads = 2)",
            {"x": X, "y": "f32[time T, channel 6]"},
            "f32[batch B, time T, channel 6]",
        ),
        ("reduce_max(%x, axis = channel)", {"x": X}, "f32[batch B, time T, channel 1]"),
        ("softmax(%x, axis = channel)", {"x": "f32[batch B, vocabulary 9]"}, "f32[batch B, vocabulary 9]"),
        ("cast(%x, dtype = f32)", {"x": "i32[batch B, label U] < 9"}, "f32[batch B, label U]"),
        ("cast(%x, dtype = i32)", {"x": "i32[batch B, label U] < 9"}, "i32[batch B, label U] < 9"),
    ],
)
def test_result_types(line: str, types: dict[str, str], result: str) -> None:
    assert apply(line, **types) == result


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"value": "a", "roles": ()}, "the value of a constant must be an array, not 'a'"),
        ({"value": 1.0, "roles": ("time",)}, "a constant of rank 0 needs 0 roles"),
        ({"value": 1.0, "roles": (), "dtype": "f8"}, "there is no element type 'f8'"),
    ],
)
def test_constants_are_checked(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InferenceError) as caught:
        Builder(Program("p")).op("constant", **{"dtype": "f32", **attributes})
    assert message in str(caught.value)


def test_a_size_that_is_not_known_is_an_inference_error() -> None:
    with pytest.raises(IrSyntaxError, match="N is not known before run time"):
        apply("split_channels(%x, groups = 2)", x="f32[time T, channel N]")


def test_an_unknown_op_is_refused() -> None:
    with pytest.raises(InferenceError, match="there is no op named melt"):
        Builder(Program("p")).op("melt")


def test_the_operand_at_fault_is_named() -> None:
    builder = Builder(Program("p"))
    x = builder.constant([1.0], ["channel"])
    with pytest.raises(InferenceError) as caught:
        builder.op("linear", x, builder.constant([1.0]))
    assert caught.value.operand == "weight"
