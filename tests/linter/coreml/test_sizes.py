"""Functions whose inputs can have several shapes are judged at real sizes."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.formats.json_report import as_data
from mctc.linter.coreml.formats.markdown import render_markdown
from mctc.linter.coreml.formats.sarif import render_sarif
from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.report import Report
from mctc.linter.coreml.sizes import check_names, read_shapes, sizes_of
from mctc.linter.coreml.table import Table
from mctc.package import Feature, TensorType

WAVE = """
    wav: fp16[1, 1, 1600:480000]
    y: fp16[1, 8, _] = conv(x=wav, weight=fp16[8, 1, 10], strides=[5], pad_type="valid", groups=1)
    z: fp16[1, 8, _] = relu(x=y)
    return z
"""
LISTED = """
    x: enum[fp16[1, 8, 16], fp16[1, 8, 32], fp16[1, 8, 70000]]
    y: fp16[1, 8, _] = relu(x=x)
    return y
"""


def report(rules: Table, text: str, shapes: str = "") -> Report:
    return check_package(read_notation(cleandoc(text)), rules.rules.values(), shapes=read_shapes([shapes]))


def labels(found: Report) -> list[str]:
    return [size.label for size in found.functions[0].sizes]


def test_a_range_is_judged_at_its_default_and_its_bounds(rules: Table) -> None:
    found = report(rules, WAVE)
    assert labels(found) == ["wav=1x1x1600 (default, least)", "wav=1x1x480000 (greatest)"]
    least, greatest = found.functions[0].sizes
    assert least.outputs == ("z: fp16[1, 8, 319]",)
    assert greatest.outputs == ("z: fp16[1, 8, 95999]",)
    assert (least.macs, greatest.macs) == (319 * 80, 95999 * 80)
    assert found.functions[0].memory.bytes == least.memory == 2 * (1600 + 2 * 8 * 319)
    assert greatest.time > 100 * least.time


def test_a_limit_that_breaks_at_the_upper_bound_says_where(rules: Table) -> None:
    (finding, *_) = [each for each in report(rules, WAVE).findings if each.rule.code == "ANE-SH-003"]
    assert finding.message.endswith("only at wav=1x1x480000 (greatest)")
    assert finding.sizes == ("wav=1x1x480000",)


def test_every_listed_shape_is_judged_from_small_to_large(rules: Table) -> None:
    found = report(rules, LISTED)
    assert labels(found) == ["x=1x8x16 (default, least)", "x=1x8x32 (listed)", "x=1x8x70000 (greatest)"]
    wide = [each.sizes for each in found.findings if each.rule.code == "ANE-SH-003"]
    assert wide == [("x=1x8x70000",)]


def test_a_chosen_size_is_the_only_one(rules: Table) -> None:
    found = report(rules, WAVE, "wav=1x1x16000")
    assert labels(found) == ["wav=1x1x16000 (chosen)"]
    assert not [each for each in found.findings if each.rule.code == "ANE-SH-003"]
    assert all("only at" not in each.message for each in found.findings)


def test_every_format_says_at_which_size_a_figure_holds(rules: Table) -> None:
    found = report(rules, WAVE)
    text = render_text([found])
    assert "these figures are at wav=1x1x1600 (default, least)" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "| `wav=1x1x480000 (greatest)` |" in render_markdown([found])
    assert '"sizes": ["wav=1x1x480000"]' in render_sarif([found])
    (function,) = as_data([found])["packages"][0]["functions"]
    assert function["size"] == "wav=1x1x1600"
    assert [each["shapes"]["wav"][-1] for each in function["sizes"]] == [1600, 480000]


def test_fixed_shapes_have_no_sizes(rules: Table) -> None:
    found = report(rules, "x: fp16[1, 8, 16]\ny: fp16[1, 8, 16] = relu(x=x)\nreturn y")
    assert found.functions[0].sizes == ()
    assert "these figures" not in render_text([found])


def test_functions_of_a_package_have_sizes_of_their_own(rules: Table) -> None:
    found = report(
        rules,
        """
        def one():
            x: fp16[1, 4:8]
            y: fp16[1, _] = relu(x=x)
            return y
        def two():
            x: fp16[1, 16]
            y: fp16[1, 16] = relu(x=x)
            return y
        """,
    )
    assert [[str(size) for size in each.sizes] for each in found.functions] == [["x=1x4", "x=1x8"], []]


def test_several_inputs_meet_at_their_bounds(rules: Table) -> None:
    found = report(
        rules,
        """
        x: fp16[1, 4:8]
        mask: fp16[1, 4:8]
        s: state[fp16[1, 8]]
        y: fp16[1, _] = add(x=x, y=mask)
        return y
        """,
    )
    assert labels(found) == ["x=1x4, mask=1x4 (default, least)", "x=1x8, mask=1x8 (greatest)"]
    assert all(size.misfit is None for size in found.functions[0].sizes)


def test_inputs_that_do_not_go_together_are_told_and_no_finding(rules: Table) -> None:
    text = "x: fp16[1, 4:8]\nmask: fp16[1, 4:9]\ny: fp16[1, _] = add(x=x, y=mask)\nreturn y"
    found = report(rules, text)
    assert found.functions[0].sizes[-1].misfit == "y: [1, 8] and [1, 9] don't fit together"
    assert "does not fit" in render_text([found])
    assert not [each for each in found.findings if each.rule.code == "ANE-SH-107"]
    with pytest.raises(UsageError, match=r"doesn't fit together at x=1x5, mask=1x4: add y: "):
        report(rules, text, "x=1x5")
    assert labels(report(rules, text, "x=1x5,mask=1x5")) == ["x=1x5, mask=1x5 (chosen)"]


def test_an_axis_without_an_upper_bound_is_judged_at_its_default_and_said_to_be(rules: Table) -> None:
    found = report(rules, "x: fp16[1, 4:]\ny: fp16[1, _] = relu(x=x)\nreturn y")
    assert labels(found) == ["x=1x4 (default, least)"]
    assert [each.rule.code for each in found.findings if each.rule.code == "ANE-SH-109"]
    assert labels(report(rules, "x: fp16[1, 4:]\ny: fp16[1, _] = relu(x=x)\nreturn y", "x=1x999")) == [
        "x=1x999 (chosen)"
    ]


def test_an_axis_of_no_known_size_is_never_silently_one(rules: Table) -> None:
    found = report(rules, "x: fp16[1, _]\ny: fp16[1, _] = relu(x=x)\nreturn y")
    assert found.functions[0].open == 1
    assert "an extent that only a run tells: it counts as 1" in render_text([found])
    assert [each.message for each in found.findings if each.rule.code == "ANE-SH-108"] == [
        "nothing tells how large axis 1 of x is: it counts as 1 in every figure"
    ]
    chosen = report(rules, "x: fp16[1, _]\ny: fp16[1, _] = relu(x=x)\nreturn y", "x=1x64")
    assert chosen.functions[0].open == 0
    assert chosen.functions[0].outputs == ("y: fp16[1, 64]",)


def test_an_image_of_several_sizes_is_judged_at_its_height_and_width() -> None:
    package = read_notation("x: fp16[1, 3, _, _]\ny: fp16[1, 3, _, _] = relu(x=x)\nreturn y")
    image = Feature("x", "image", None, flexible=True, size=(480, 640), ranges=((64, 1080), (64, None)))
    description = package.descriptions["main"].__class__((image,), (), ())
    sizes = sizes_of(package.functions["main"], description)
    assert [size.label for size in sizes] == [
        "x=1x3x480x640 (default)",
        "x=1x3x64x64 (least)",
        "x=1x3x1080x640 (greatest)",
    ]


@pytest.mark.parametrize("extents", [(1, 16), (1, 8, 16)])
def test_a_description_of_another_rank_gives_no_size(extents: tuple[int, ...]) -> None:
    package = read_notation("x: fp16[1, 8, _]\ny: fp16[1, 8, _] = relu(x=x)\nreturn y")
    feature = Feature("x", "tensor", TensorType("fp16", extents))
    description = package.descriptions["main"].__class__((feature,), (), ())
    assert len(sizes_of(package.functions["main"], description)) == (len(extents) == 3)


def test_what_there_is_no_time_for_is_counted(rules: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.linter.coreml.sized.BUDGET", 5)
    shapes = ", ".join(f"fp16[1, {n}]" for n in range(1, 21))
    (function,) = report(rules, f"x: enum[{shapes}]\ny: fp16[1, _] = relu(x=x)\nreturn y").functions
    assert [str(size) for size in function.sizes] == ["x=1x1", "x=1x5", "x=1x11", "x=1x17", "x=1x20"]
    assert function.unjudged == 15


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("wav", "not of the form INPUT=EXTENTS"),
        ("wav=", "not of the form INPUT=EXTENTS"),
        ("wav=1xTx8", "not of the form INPUT=EXTENTS"),
        ("wav=1x1x0", "an extent is a number from 1"),
        ("wav=1x1x9,wav=1x1x8", "given two shapes"),
        ("wav=1x1600", "has 3 axes, not 2"),
        ("wav=1x1x1599", "axis 2 goes from 1600 to 480000, not 1599"),
        ("wav=2x1x1600", "axis 0 goes from 1 to 1, not 2"),
    ],
)
def test_a_shape_that_can_not_be_is_an_error(rules: Table, shape: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        report(rules, WAVE, shape)
    assert said in error.value.message
    assert error.value.hint


def test_a_shape_outside_the_list_names_the_list(rules: Table) -> None:
    with pytest.raises(UsageError, match="it takes one of 1x8x16, 1x8x32, 1x8x70000"):
        report(rules, LISTED, "x=1x8x64")


def test_a_fixed_input_keeps_its_shape(rules: Table) -> None:
    with pytest.raises(UsageError, match="it has the fixed shape 1x8"):
        report(rules, "x: fp16[1, 8]\ny: fp16[1, 8] = relu(x=x)\nreturn y", "x=1x9")


def test_an_input_that_no_package_has_is_an_error_on_the_command_line_alone() -> None:
    with pytest.raises(UsageError, match="there is no input `mell`") as error:
        check_names(read_shapes(["mell=1x80"]), ["mel", "length"])
    assert error.value.hint == "did you mean `mel`?"
    check_names(read_shapes(["mell=1x80"], "a file", must_exist=False), ["mel"])


def test_values_that_follow_the_input_are_sized_even_where_the_package_declares_them_fixed(rules: Table) -> None:
    found = report(
        rules,
        """
        x: enum[fp16[1, 8, 16], fp16[1, 8, 32]]
        y: fp16[1, 8, 16] = relu(x=x)
        return y
        """,
    )
    assert [size.outputs for size in found.functions[0].sizes] == [("y: fp16[1, 8, 16]",), ("y: fp16[1, 8, 32]",)]


def test_sizes_made_of_sizes_are_followed(rules: Table) -> None:
    found: Any = report(
        rules,
        """
        x: fp16[2, 8, 4:64]
        s: int32[3] = shape(x=x)
        n: int32 = gather(x=s, indices=2, axis=0)
        half: int32 = floor_div(x=n, y=2)
        v: int32[3] = stack(values=[n, half], axis=0)
        c: fp16[2, 8, _, _] = tile(x=x, reps=[1, 1, 2])
        r: fp16[_, _] = reshape(x=c, shape=[-1, 8])
        y: fp16[_, _] = fill(shape=v, value=fp16(1.0))
        return r, y
        """,
    )
    assert found.functions[0].sizes[-1].outputs == ("r: fp16[256, 8]", "y: fp16[64, 32]")
