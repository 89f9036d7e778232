"""What a package is: interface, sizes, weights by form, work."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import cleandoc

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.formats.summary import render_summary, summaries_json
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.report import Unchecked
from mctc.linter.coreml.sizes import read_shapes
from mctc.linter.coreml.summary import Port, Summary, summary_of

PROGRAM = """
    mel: fp16[1, 80, 100:3000]
    cache: state[fp16[1, 64, 8]]
    w: fp16[64, 80, 3] = constexpr_lut_to_dense(indices=uint4[64, 80, 3], lut=fp16[1, 1, 1, 16, 1])
    q: fp16[64, 64, 1] = constexpr_blockwise_shift_scale(data=int8[64, 64, 1], scale=fp16[64, 1, 1])
    a: fp16[1, 64, _] = conv(x=mel, weight=w, strides=[2], pad_type="valid", groups=1)
    b: fp16[1, 64, _] = conv(x=a, weight=q, strides=[1], pad_type="valid", groups=1)
    r: fp16[1, 64, 8] = read_state(input=cache)
    return b, r
"""


def of(text: str, shape: str = "") -> Summary:
    return summary_of(read_notation(cleandoc(text)), read_shapes([shape]))


def test_it_tells_the_interface_the_sizes_and_the_work() -> None:
    (function,) = of(PROGRAM).functions
    assert [(port.name, port.type, port.allowed) for port in function.inputs] == [
        ("mel", "fp16[1, 80, 100]", "axis 2 from 100 to 3000")
    ]
    assert [port.type for port in (*function.outputs, *function.states)] == [
        "fp16[1, 64, 49]", "fp16[1, 64, 8]", "fp16[1, 64, 8]"
    ]  # fmt: skip
    assert dict(function.ops) == {"conv": 2, "read_state": 1}
    assert [(size.size, size.macs) for size in function.sizes] == [
        ("mel=1x80x100", 49 * 64 * (80 * 3 + 64)),
        ("mel=1x80x3000", 1499 * 64 * (80 * 3 + 64)),
    ]
    assert of(PROGRAM, "mel=1x80x101").functions[0].sizes[0].outputs[0] == "b: fp16[1, 64, 50]"


def test_weights_are_told_by_the_form_they_are_stored_in() -> None:
    summary = of(PROGRAM)
    assert {each.form: (each.tensors, each.parameters, each.bytes) for each in summary.weights} == {
        "palette of 4 bits": (1, 64 * 80 * 3, 64 * 80 * 3 // 2 + 16 * 2),
        "int8 with scales": (1, 64 * 64, 64 * 64 + 64 * 2),
    }
    assert summary.parameters == 64 * 80 * 3 + 64 * 64


def test_a_weight_that_two_steps_unpack_is_one() -> None:
    summary = of("""
        x: fp16[1, 64, 1, 8]
        t: fp16[9] = constexpr_lut_to_sparse(indices_mask=uint1[64, 64], indices_nonzero_data=uint4[9], lut=fp16[16, 1])
        w: fp16[64, 64] = constexpr_sparse_to_dense(nonzero_data=t, mask=uint1[64, 64])
        y: fp16[1, 64, 1, 64] = linear(x=x, weight=w)
        return y
    """)
    assert [(each.form, each.tensors, each.parameters) for each in summary.weights] == [
        ("sparse, palette of 4 bits", 1, 4096)
    ]


def test_the_text_fits_a_terminal_and_the_json_holds_the_same() -> None:
    summary = replace(of(PROGRAM), path="models/" * 20 + "m.mlpackage")
    text = render_summary(summary)
    assert max(map(len, text.splitlines())) <= 80
    assert "input   mel  fp16[1, 80, 100]" in text
    assert "at mel=1x80x3000 (greatest)" in text
    assert "at once with rows padded" in " ".join(text.split())
    data = json.loads(summaries_json([summary], [Unchecked("b.mlmodel", "no model", "write one")]))
    assert data["kind"] == "mctc info"
    (model,) = data["models"]
    assert model["parameters"] == summary.parameters
    assert model["functions"][0]["sizes"][1]["roles"] == ["greatest"]
    assert data["unread"] == [{"path": "b.mlmodel", "reason": "no model", "hint": "write one"}]


@pytest.mark.parametrize(
    ("type_", "kind", "shown"),
    [
        ("string[]", "string", "string[]"),
        ("dictionary", "dictionary", "dictionary"),
        ("fp32[1]", "image", "fp32[1], image"),
    ],
)
def test_what_a_type_says_already_is_not_said_twice(type_: str, kind: str, shown: str) -> None:
    summary = of(PROGRAM)
    function = replace(summary.functions[0], outputs=(Port("label", type_, kind),))
    lines = render_summary(replace(summary, functions=(function,))).splitlines()
    assert f"  output  label  {shown}" in lines


def test_a_shape_that_is_not_allowed_is_an_error() -> None:
    with pytest.raises(UsageError, match="axis 2 goes from 100 to 3000, not 50"):
        of(PROGRAM, "mel=1x80x50")
