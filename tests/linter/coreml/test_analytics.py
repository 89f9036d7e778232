"""What Core ML's compiler notes of a model, read from a text and held against the prediction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mctc.cli.main import run
from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.agreement import agreement
from mctc.linter.coreml.formats.agreement import agreement_json, render_agreement
from mctc.linter.coreml.measured import read_plan
from mctc.linter.coreml.plan import NOTED
from mctc.package.protobuf import model_class
from tests.linter.coreml.conftest import Check

HEAD = """program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "1.2.3"}, {"coremltools-version", "9.0"}})]
{
    func main<ios18>(tensor_buffer<fp16, shape=[1, 8], strides=[32, 1], interleave_factors=[1, 1]> x) [
        Launch_ane_ms = fp64(0x1p-3), Launch_bnns_ms = fp64(0x0p+0), Src_ane_Dest_bnns_ms = fp64(0x1p-4)] {
"""
CAME_IN = """
        tensor<fp16, [1, 8]> x_4D454D5F4F5054 = tensor_buffer_to_tensor<ios17>(input = x)[
            BackendSupport = list<string, 3>(["bnns", "classic_cpu", "ane"]),
            EstimatedRuntime = dict<string, fp64>({{"ane", 0}, {"bnns", 0}}), SelectedBackend = string("ane")];
"""
BODY = """
        tensor<fp16, [1, 8]> a = relu(x = x_4D454D5F4F5054)[
            BackendSupport = list<string, 3>(["bnns", "classic_cpu", "ane"]),
            EstimatedRuntime = dict<string, fp64>({{"ane", 0.25}, {"bnns", 0.5}, {"classic_cpu", 0.75}}),
            SelectedBackend = string("ane"), milId = uint64(1), name = string("a")];
        tensor<int32, [1, 8]> b = cast(dtype = string("int32"), x = a)[
            BackendSupport = list<string, 3>(["bnns", "classic_cpu", "unsupported"]),
            EstimatedRuntime = dict<string, fp64>({{"bnns", 0x1p-2}, {"classic_cpu", 0.5}}),
            SelectedBackend = string("bnns"),
            ValidationMessage = dict<string, string>({{"ane", "No \\"int32\\" here."}}), name = string("b")];
        tensor<fp16, [1, 8]> c_4D454D5F4F5054 = cast(dtype = string("fp16"), x = b)[
            BackendSupport = list<string, 3>(["bnns", "classic_cpu", "unsupported"]),
            EstimatedRuntime = dict<string, fp64>({{"bnns", 0.5}}), SelectedBackend = string("bnns"),
            ValidationMessage = dict<string, string>({{"ane", "No \\"int32\\" here."}}), name = string("c")];
"""
WENT_OUT = """
        tensor_buffer<fp16, shape=[1, 8], strides=[32, 1], interleave_factors=[1, 1]> c =
            tensor_to_tensor_buffer<ios17>(input = c_4D454D5F4F5054, strides = tensor<int64, [2]>([32, 1]))[
            BackendSupport = list<string, 1>(["unsupported"]), SelectedBackend = string("bnns")];
    } -> (c);
}
"""
TEXT = HEAD + CAME_IN + BODY + WENT_OUT
PLAIN = """program(1.0)
{
    func main<ios18>(tensor<fp16, [1]> x) {
        tensor<fp16, [1]> y = relu(x = x)[name = string("y")];
    } -> (y);
}
"""
PROGRAM = """
    x: fp16[1, 8]
    a: fp16[1, 8] = relu(x=x)
    b: int32[1, 8] = cast(x=a, dtype="int32")
    c: fp16[1, 8] = cast(x=b, dtype="fp16")
    return c
"""


def written(folder: Path, text: str = TEXT, name: str = "analytics.mil") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    return file


def test_backends_times_and_messages_of_every_operation_are_read(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path))
    relu, there, back = plan.functions["main"]
    assert (relu.type, relu.outputs, relu.preferred, relu.backend) == ("relu", ("a",), "ane", "ane")
    assert relu.supported == {"ane", "cpu"}
    assert relu.times == {"ane": 250.0, "cpu": 500.0}
    assert (there.preferred, there.backend, there.supported) == ("cpu", "bnns", {"cpu"})
    assert there.messages == {"ane": 'No "int32" here.'}
    assert there.times == {"cpu": 250.0}
    assert back.outputs == ("c",)
    assert [each.cost for each in plan.functions["main"]] == [0.25, 0.25, 0.5]
    assert plan.charges == {"launch": 125.0, "switch": 62.5}
    assert (plan.source, plan.units) == (NOTED, "cpuAndNeuralEngine")


def test_the_folders_of_the_cache_name_the_chip_and_the_build(tmp_path: Path) -> None:
    cache = tmp_path / "Caches/app/com.apple.e5rt.e5bundlecache/26A434/0F/0F.bundle/H16G.bundle"
    written(cache)
    plan = read_plan(tmp_path / "Caches")
    assert (plan.chip, plan.system) == ("H16G", "build 26A434")
    assert "doesn't tell" in read_plan(written(tmp_path / "elsewhere")).chip


def test_a_graph_backend_means_that_the_gpu_was_allowed(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, TEXT.replace('"classic_cpu", 0.75', '"mps_graph", 0.125')))
    assert plan.units == "all"
    assert plan.functions["main"][0].times == {"ane": 250.0, "cpu": 500.0, "gpu": 125.0}


@pytest.fixture
def compared(check: Check, tmp_path: Path) -> tuple[str, dict[str, object]]:
    found = agreement(check(PROGRAM, device="m4", system="macos27"), read_plan(written(tmp_path)))
    return " ".join(render_agreement(found, everything=True).split()), json.loads(agreement_json(found))


def test_core_mls_own_words_stand_beside_the_prediction(compared: tuple[str, dict[str, object]]) -> None:
    text, data = compared
    assert "noted by Core ML's compiler, launch 125 µs, switch 62.5 µs; here launch 125 µs, switch 125 µs" in text
    assert '"No "int32" here.": 2 ops (cast); predicted eligible: no 2; ANE-DT-005' in text
    assert "main: b (cast): CPU, bnns; " in text
    assert "CPU 250 µs" not in text.partition("Every op")[0]
    (refusal,) = data["messages"]  # type: ignore[misc]
    assert refusal["eligible"] == {"yes": 0, "contested": 0, "no": 2}
    assert [each["op"] for each in refusal["ops"]] == ["b", "c"]
    assert data["measured"]["source"] == "analytics.mil"  # type: ignore[index]
    assert [row["backend"] for row in data["rows"]] == ["ane", "bnns", "bnns"]  # type: ignore[attr-defined]
    assert data["rows"][0]["core_ml_us"] == {"ane": 250.0, "cpu": 500.0}  # type: ignore[index]


def test_estimates_are_scored_against_core_mls(compared: tuple[str, dict[str, object]]) -> None:
    text, data = compared
    assert {key: value["ops"] for key, value in data["estimates"].items()} == {"ane": 1, "cpu": 3}  # type: ignore[attr-defined]
    assert 0.9 < data["estimates"]["ane"]["median"] < 1  # type: ignore[index]
    assert data["estimates"]["ane"]["within_30"] == 0  # type: ignore[index]
    assert "Neural Engine 1 > 99 % 0 % 0 %" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN, "no operation says where it runs"),
        (TEXT.replace('"ane"', '"other"').replace("Launch_ane_ms", "Launch_other_ms"), "without the Neural Engine"),
        (TEXT[:400], "line"),
        ("program(1.3)\n{", "is expected"),
        (TEXT.replace("0.25}", "[1, 2]}"), ""),
        (TEXT.replace("0.25}", "nan}").replace('"bnns", 0.5}', '"bnns", -1}'), ""),
        (TEXT.replace('string("ane")', "uint64(7)"), ""),
    ],
)  # fmt: skip
def test_a_text_at_fault_is_refused_or_passed_over_where_it_notes_nothing(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    if said:
        with pytest.raises(UsageError, match=said):
            read_plan(path)
        return
    assert all(time >= 0 for each in read_plan(path).functions["main"] for time in each.times.values())


def test_a_folder_without_the_text_says_where_core_ml_keeps_it(tmp_path: Path) -> None:
    written(tmp_path / "m.mlmodelc/analytics", "hash", "coremldata.bin")
    with pytest.raises(UsageError, match="holds the name and the hash of the model alone") as raised:
        read_plan(tmp_path / "m.mlmodelc")
    assert "com.apple.e5rt.e5bundlecache" in str(raised.value.hint)
    written(tmp_path / "m.mlmodelc/a")
    written(tmp_path / "m.mlmodelc/b")
    with pytest.raises(UsageError, match="2 times analytics"):
        read_plan(tmp_path / "m.mlmodelc")


def test_the_command_takes_the_text_and_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_class()(specificationVersion=9)
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML8"
    value = function.inputs.add(name="x").type.tensorType
    value.dataType, value.rank = 10, 1
    value.dimensions.add().constant.size = 8
    operation = function.block_specializations["CoreML8"].operations.add(type="relu")
    operation.inputs["x"].arguments.add(name="x")
    operation.outputs.add(name="a").type.CopyFrom(function.inputs[0].type)
    function.block_specializations["CoreML8"].outputs.append("a")
    path = tmp_path / "m.mlmodel"
    path.write_bytes(model.SerializeToString())
    text = written(tmp_path / "bundle")
    assert run(["lint", "--measured", str(text), str(path)]) == 0
    assert run(["lint", "--measured", str(text.parent), str(path)]) == 0
    assert capsys.readouterr().out.count("noted by Core ML's compiler") == 2
