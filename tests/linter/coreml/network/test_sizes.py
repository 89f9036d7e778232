"""Networks whose inputs can have several shapes: at which they are judged, and what is said of each."""

from __future__ import annotations

from dataclasses import replace
from inspect import cleandoc

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.formats.json_report import as_data
from mctc.linter.coreml.formats.markdown import render_markdown
from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.network.check import check_network
from mctc.linter.coreml.network.notation import read_network_notation
from mctc.linter.coreml.report import NetworkReport, Report
from mctc.linter.coreml.sizes import read_shapes
from mctc.linter.coreml.summary import summary_of
from mctc.linter.coreml.table import table

LONG = """
    x: array[1, 3, 32:20000, 32]
    y = convolution(x, outputChannels=8, kernelChannels=3, kernelSize=[3, 3], same={}, weights=216)
    return y
"""


def _check(text: str, *shapes: str) -> Report:
    model = read_network_notation(cleandoc(text))
    return check_network(model, table().rules.values(), device="m1", shapes=read_shapes(shapes))


def _network(text: str, *shapes: str) -> NetworkReport:
    network = _check(text, *shapes).network
    assert network is not None
    return network


def test_a_range_is_judged_at_the_default_and_its_bounds() -> None:
    report = _check(LONG)
    assert report.network is not None
    assert [(size.label, size.macs) for size in report.network.sizes] == [
        ("x=1x3x32x32 (default, least)", 216 * 32 * 32),
        ("x=1x3x20000x32 (greatest)", 216 * 20000 * 32),
    ]
    assert report.network.macs == 216 * 32 * 32
    text = " ".join(render_text([report]).split())
    assert "at x=1x3x20000x32 (greatest): 138.24 M multiply-accumulates" in text
    assert "at x=1x3x20000x32 (greatest): 138.24 M multiply-accumulates" in render_markdown([report])
    data = as_data([report])["packages"][0]["network"]
    assert data["sizes"][1] == {"size": "x=1x3x20000x32 (greatest)", "macs": 138_240_000, "uncounted": 0}
    assert data["unjudged"] == 0


def test_what_only_the_greatest_breaks_is_found_with_its_size() -> None:
    found = [each.message for each in _check(LONG).findings if each.rule.code == "ANE-NN-024"]
    assert found == [
        "convolution makes [1, 8, 20000, 32], H13 takes 16384 rows and columns, at x=1x3x20000x32 (greatest)"
    ]
    assert not any(each.rule.code == "ANE-NN-024" for each in _check(LONG, "x=1x3x64x32").findings)


def test_what_all_sizes_have_is_said_once() -> None:
    report = _check(LONG.replace("kernelSize=[3, 3]", "kernelSize=[3, 3], dilationFactor=[2, 2]"))
    (found,) = [each for each in report.findings if each.rule.code == "ANE-NN-020"]
    assert "greatest" not in found.message


def test_a_chosen_size_is_the_only_one() -> None:
    network = _network(LONG, "x=1x3x64x32")
    assert [(size.label, size.macs) for size in network.sizes] == [("x=1x3x64x32 (chosen)", 216 * 64 * 32)]
    assert network.layers[0].shape == "[1, 8, 64, 32]"


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ("x=1x3x16x32", "axis 2 goes from 32 to 20000, not 16"),
        ("x=1x3x64x64", "axis 3 goes from 32 to 32, not 64"),
        ("x=64x32", "has 4 axes, not 2"),
    ],
)
def test_a_size_that_the_network_does_not_allow_is_refused(shape: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        _check(LONG, shape)


def test_fixed_shapes_have_no_sizes() -> None:
    assert _network(LONG.replace("32:20000", "32")).sizes == ()


def test_an_image_varies_in_height_and_width() -> None:
    text = """
        i: image[3, 32:64, 32]
        y = convolution(i, outputChannels=8, kernelChannels=3, kernelSize=[3, 3], same={}, weights=216)
        return y
    """
    network = _network(text)
    assert [size.label for size in network.sizes] == ["i=3x32x32 (default, least)", "i=3x64x32 (greatest)"]
    assert network.inputs == ("i: [1, 3, 32, 32]",)
    assert network.sizes[1].macs == 2 * network.sizes[0].macs == 216 * 64 * 32
    assert _network(text, "i=3x48x32").layers[0].shape == "[1, 8, 48, 32]"


@pytest.mark.parametrize(
    ("declared", "greatest", "seen"),
    [
        ("3, 32:64, 32", "x=3x64x32", "x: [1, 1, 3, 32, 32]"),
        ("1:8", "x=8", "x: [1, 1, 1, 1, 1]"),
    ],
)
def test_older_versions_see_five_axes(declared: str, greatest: str, seen: str) -> None:
    network = _network(f"""
        version = 3
        x: array[{declared}]
        y = activation(x, ReLU={{}})
        return y
    """)
    assert network.sizes[1].label == f"{greatest} (greatest)"
    assert network.inputs == (seen,)


def test_listed_shapes_beyond_the_budget_are_counted() -> None:
    model = read_network_notation(cleandoc(LONG) + "".join(f"\ny{i} = activation(y, ReLU={{}})" for i in range(999)))
    listed = tuple((1, 3, 32 + extent, 32) for extent in range(50))
    feature = replace(model.inputs[0], ranges=(), enumerated=listed)
    report = check_network(replace(model, inputs=(feature,)), (), device="m1")
    assert report.network is not None
    assert len(report.network.sizes) == 8
    assert report.network.unjudged == 42
    assert "42 listed sizes not judged" in " ".join(render_text([report]).split())


def test_the_summary_takes_a_shape_too() -> None:
    model = read_network_notation(cleandoc(LONG))
    assert summary_of(model, read_shapes(["x=1x3x64x32"])) != summary_of(model)
