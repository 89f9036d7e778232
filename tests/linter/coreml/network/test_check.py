"""The report of a neural network: what it counts, what it can't, and that every format has it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.cli.main import run
from mctc.linter.coreml.diff import compare
from mctc.linter.coreml.formats.difference import render_diff
from mctc.linter.coreml.formats.json_report import as_data, render_json
from mctc.linter.coreml.formats.markdown import render_markdown
from mctc.linter.coreml.formats.page import render_page
from mctc.linter.coreml.formats.sarif import render_sarif
from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.report import Report
from mctc.package.protobuf import model_class
from tests.linter.coreml.conftest import Check

NETWORK = """
    x: image[3, 32, 32]
    a = convolution(x, outputChannels=8, kernelChannels=3, same={}, weights=216, hasBias=True, bias=8)
    b = custom(a, className="Swish")
    c = innerProduct(b, inputChannels=8, outputChannels=2, weights=16)
    return c
"""


@pytest.fixture(scope="module")
def report(check: Check) -> Report:
    return check(NETWORK)


def test_layers_are_listed_with_parameters_shapes_and_products(report: Report) -> None:
    network = report.network
    assert network is not None
    assert [(row.name, row.type, row.shape, row.parameters, row.macs) for row in network.layers] == [
        ("a", "convolution", "[1, 8, 32, 32]", 224, 8 * 32 * 32 * 27),
        ("b", "custom", "", 0, None),
        ("c", "innerProduct", "", 16, None),
    ]
    assert (network.parameters, network.macs) == (240, 8 * 32 * 32 * 27)
    assert [row.name for row in network.uncounted] == ["b", "c"]
    assert network.inputs == ("x: [1, 3, 32, 32]",)
    assert network.outputs == ("c: unknown",)
    assert network.layers[0].rules == ()
    assert network.layers[1].rules == ("ANE-NN-001",)
    assert network.layers[2].inputs == (1,)


def test_no_placement_is_claimed_of_a_network(report: Report) -> None:
    text = render_text([report])
    assert report.functions == ()
    assert "no placement is predicted" in " ".join(text.split())
    assert "Neural Engine 100 %" not in text


def test_the_text_counts_and_says_what_it_cannot(report: Report) -> None:
    text = " ".join(render_text([report]).split())
    assert "3 layers, 240 parameters, at least 221,184 multiply-accumulates" in text
    assert "1 convolution 224 221,184" in text
    assert "1 custom not known" in text
    assert "Shapes can't be told of 2 layers: 1 custom, 1 innerProduct." in text
    assert "What 2 layers multiply is in no count." in text
    assert "a custom layer of class Swish (b)" in text
    everything = " ".join(render_text([report], everything=True).split())
    assert "a (convolution) [1, 8, 32, 32] 224 221,184" in everything
    assert "c (innerProduct) shape not known 16 not known" in everything


def test_the_way_to_a_program_is_told_truthfully(report: Report) -> None:
    text = " ".join(render_text([report]).split())
    assert "To convert: coremltools 9 makes no ML program of a neural network" in text
    assert 'convert_to="mlprogram"' in text
    (lost,) = [each.message for each in report.findings if "ML program has no" in each.message]
    assert lost == "an ML program has no custom layers (Swish), so not all of this model can become one"


def test_other_formats_have_the_network_too(report: Report) -> None:
    data = json.loads(render_json([report]))["packages"][0]
    assert data["network"]["layers"][0]["macs"] == 221184
    assert data["network"]["layers"][1]["macs"] is None
    assert data["opset"] == ""
    assert "| `convolution` | 1 | 224 | 221,184 |" in render_markdown([report])
    run = json.loads(render_sarif([report]))["runs"][0]
    assert run["artifacts"][0]["properties"]["network"] == "neuralNetwork"
    named = [each["locations"][0] for each in run["results"] if each["ruleId"] == "ANE-NN-001"]
    assert [each["logicalLocations"][0]["kind"] for each in named] == ["layer"]
    page = render_page([report])
    held = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[0])
    assert held["packages"][0]["network"]["layers"][0] == ["a", "convolution", "[1, 8, 32, 32]", 224, 221184, []]


def test_a_program_has_no_network(check: Check) -> None:
    found = check("x: fp16[1, 64]\ny: fp16[1, 64] = relu(x=x)\nreturn y")
    assert found.network is None
    assert as_data([found])["packages"][0]["network"] is None


def test_layers_inside_a_loop_are_counted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_class()(specificationVersion=4)
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    array = model.description.input.add(name="x").type.multiArrayType
    array.shape.extend([1, 4])
    loop = network.layers.add(name="steps").loop
    loop.maxLoopIterations = 10
    inner = loop.bodyNetwork.layers.add(name="inner", input=["x"], output=["x"])
    inner.innerProduct.inputChannels = inner.innerProduct.outputChannels = 4
    path = tmp_path / "loop.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert run(["lint", str(path)]) == 0
    said = capsys.readouterr().out
    assert "2 layers, 0 parameters, 16 multiply-accumulates" in said
    assert "Layers inside loops and branches are counted once." in said


def test_the_networks_of_a_pipeline_are_checked_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_class()(specificationVersion=3)
    pipeline = model.pipelineClassifier.pipeline
    pipeline.names.extend(["features", "head"])
    network = pipeline.models.add(specificationVersion=2).neuralNetwork
    network.layers.add(name="mine").custom.className = "Mine"
    pipeline.models.add().glmClassifier.SetInParent()
    path = tmp_path / "two.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert run(["lint", str(path)]) == 1
    said = "".join(capsys.readouterr().out.split())
    assert "two.mlmodel/features" in said
    assert "acustomlayerofclassMine" in said


def test_the_command_ends_by_severity_and_heeds_the_selection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_class()(specificationVersion=2)
    model.neuralNetworkClassifier.layers.add(name="mine").custom.className = "Mine"
    path = tmp_path / "old.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert run(["lint", str(path)]) == 1
    assert run(["lint", "--ignore", "ANE-NN", str(path)]) == 0
    assert "(1 not shown)" in capsys.readouterr().out


def test_every_code_that_lint_prints_is_explained(mctc: Callable[..., object], report: Report, check: Check) -> None:
    program = check(
        "x: fp32[1, 8, 64]\nh: fp32[1, 8]\ny: (fp32[1, 8, 8], fp32[1, 8]) = gru(x=x, initial_h=h)\nreturn y"
    )
    said = "".join(
        render([one])
        for one in (report, program)
        for render in (render_text, render_json, render_markdown, render_sarif, render_page)
    )
    codes = sorted(set(re.findall(r"\b(?:MCT\d{4}|MPS\d{3}|ANE-[A-Z]+-\d{3}[a-z]?)\b", said)))
    assert {"ANE-GR-006", "ANE-NN-001", "ANE-OP-001"} <= set(codes)
    explained = mctc("explain", *codes)
    assert explained.returncode == 0, explained.stderr  # type: ignore[attr-defined]


def test_every_code_in_the_sources_of_lint_is_explained(root: Path, mctc: Callable[..., object]) -> None:
    folders = [root / "mctc" / name for name in ("linter", "cli", "package", "driver")]
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")]
    codes = {code for text in texts for code in re.findall(r"\b(?:MCT\d{4}|MPS\d{3}|ANE-[A-Z]{2}-\d{3}[a-z]?)\b", text)}
    assert len(codes) > 150
    explained = mctc("explain", *sorted(codes))
    assert explained.returncode == 0, explained.stderr  # type: ignore[attr-defined]


def test_two_networks_are_compared_by_what_they_have(check: Check) -> None:
    old, new = check(NETWORK), check(NETWORK.replace("image[3, 32, 32]", "image[3, 320, 320]"))
    difference = compare(old, new)
    assert [(each.name, each.after, each.verdict.value) for each in difference.package] == [
        ("weights", 960, "same"),
        ("layers", 3, "same"),
        ("parameters", 240, "same"),
        ("multiply-accumulates", 22_118_400, "worse"),
    ]
    text = render_diff(difference)
    assert "  multiply-accumulates           221,184     22.12 M     +9900 %  worse" in text.splitlines()
    assert "for CPU_AND_NE" not in text
    assert "no placement is predicted" in " ".join(text.split())
    back = render_diff(compare(new, check(NETWORK.replace("image[3, 32, 32]", "image[3, 319, 320]"))))
    assert "  multiply-accumulates           22.12 M     22.05 M     -69,120" in back


def test_a_network_has_no_prediction_to_hold_against_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_class()(specificationVersion=4)
    model.neuralNetwork.layers.add(name="a", output=["y"]).activation.ReLU.SetInParent()
    path, plan = tmp_path / "model.mlmodel", tmp_path / "plan.json"
    path.write_bytes(model.SerializeToString())
    plan.write_text("{}")
    assert run(["lint", "--measured", str(plan), str(path)]) == 2
    assert "a neural network, of which no placement is predicted to compare with" in capsys.readouterr().err


def test_a_pipeline_without_a_program_or_a_network_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_class()(specificationVersion=1)
    model.pipeline.models.add(specificationVersion=1).scaler.SetInParent()
    path = tmp_path / "model.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert run(["lint", str(path)]) == 2
    assert "of whose members none is an ML program or a neural network" in " ".join(capsys.readouterr().err.split())


def test_a_pooling_of_an_input_without_axes_is_no_fault_of_the_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_class()(specificationVersion=4)
    model.description.input.add(name="x").type.multiArrayType.SetInParent()
    model.neuralNetwork.arrayInputShapeMapping = 1
    model.neuralNetwork.layers.add(name="p", input=["x"], output=["y"]).pooling.globalPooling = True
    path = tmp_path / "model.mlmodel"
    path.write_bytes(model.SerializeToString())
    assert run(["lint", str(path)]) == 0
    assert "1 pooling" in capsys.readouterr().out
