"""`mctc lint` on models that are not whole or are no ML programs: an entry in every form of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mctc.linter.coreml.formats.json_schema import schema
from tests.cli.conftest import Command

POINTER = f"version https://git-lfs.example/spec/v1\noid sha256:{'5a' * 32}\nsize 4096\n"
FORMS = ("json", "sarif", "html", "markdown", "github")
STORED = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4, 1, 64]> x) {
        tensor<fp16, [32, 4, 1, 1]> w = const()[name = string("w"), val = tensor<fp16, [32, 4, 1, 1]>(
            BLOBFILE(path = string("@model_path/weights/weight.bin"), offset = uint64(64)))];
        tensor<fp16, [1, 32, 1, 64]> y = conv(weight = w, x = x)[name = string("y")];
    } -> (y);
}
"""
GELU = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 4, 1, 64]> x) {
        tensor<fp16, [1, 4, 1, 64]> y = gelu(x = x)[name = string("y")];
    } -> (y);
}
"""


def compiled(folder: Path, text: str, file: str = "model.mil") -> Path:
    folder.mkdir(parents=True)
    (folder / file).write_text(text)
    return folder


def pipeline(folder: Path) -> Path:
    """A compiled pipeline of a program and of something else."""
    compiled(folder / "model0", GELU)
    metadata = [{"modelType": {"name": "MLModelType_nonMaximumSuppression"}}]
    compiled(folder / "model1", json.dumps(metadata), "metadata.json")
    return folder


def test_a_program_without_its_weights_is_checked_from_shapes(command: Command, tmp_path: Path) -> None:
    compiled(tmp_path / "m.mlmodelc", STORED)
    done = command("lint", tmp_path / "m.mlmodelc", "--fail-on", "never")
    assert (done.code, done.err) == (0, "")
    assert "weights 256 bytes" in done.out
    assert "there is no such file" in done.out
    assert "sizes are from shapes alone" in " ".join(done.out.split()).lower()
    (tmp_path / "m.mlmodelc/weights").mkdir()
    (tmp_path / "m.mlmodelc/weights/weight.bin").write_text(POINTER)
    found = json.loads(command("lint", tmp_path / "m.mlmodelc", "--format", "json").out)
    (note,) = found["packages"][0]["notes"]
    assert "a Git LFS pointer in place of 4096 bytes" in note
    assert "git lfs pull" in note
    assert found["unchecked"] == []


@pytest.mark.quick("json", "html")
@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_read_is_an_entry_beside_the_others(command: Command, tmp_path: Path, form: str) -> None:
    compiled(tmp_path / "good.mlmodelc", GELU)
    (tmp_path / "pointer.mlmodel").write_text(POINTER)
    (tmp_path / "empty.mlmodel").write_text("")
    done = command("lint", tmp_path, "--format", form, "--fail-on", "never")
    assert done.code == 2
    for text in ("Git LFS pointer", "git lfs pull", "an empty file", "pointer.mlmodel", "empty.mlmodel"):
        assert text in done.out
    assert "error: " in done.err


@pytest.mark.parametrize("form", FORMS)
def test_a_report_is_written_of_nothing_but_what_cannot_be_read(command: Command, tmp_path: Path, form: str) -> None:
    (tmp_path / "empty.mlmodel").write_text("")
    done = command("lint", tmp_path / "empty.mlmodel", "--format", form)
    assert done.code == 2
    assert "an empty file" in done.out


def test_the_members_of_a_pipeline_are_checked(command: Command, tmp_path: Path) -> None:
    path = pipeline(tmp_path / "p.mlmodelc")
    done = command("lint", path, "--fail-on", "info")
    assert (done.code, done.err) == (1, "")
    assert "p.mlmodelc/model0" in "".join(done.out.split())
    said = " ".join(done.out.split())
    assert "member 'model1' is a nonMaximumSuppression, which has neither ops nor layers to check" in said
    found = json.loads(command("lint", path, "--format", "json").out)
    assert [(each["path"], each["member"]) for each in found["packages"]] == [(str(path), "model0")]
    assert [(each["member"], each["kind"]) for each in found["unchecked"]] == [("model1", "nonMaximumSuppression")]
    notes = json.loads(command("lint", path, "--format", "sarif").out)["runs"][0]["invocations"][0]
    assert notes["executionSuccessful"] is True
    assert [each["level"] for each in notes["toolExecutionNotifications"]] == ["note"]


def test_two_pipelines_are_compared_member_by_member(command: Command, tmp_path: Path) -> None:
    for name in ("old", "new"):
        compiled(tmp_path / name / "p.mlmodelc" / "model0", GELU)
        compiled(tmp_path / name / "p.mlmodelc" / "model1", GELU)
    compiled(tmp_path / "one.mlmodelc", GELU)
    old, new = (tmp_path / name / "p.mlmodelc" for name in ("old", "new"))
    found = json.loads(command("lint", "--diff", old, new, "--format", "json").out)
    assert [each["new"]["path"] for each in found] == [f"{new}/model0", f"{new}/model1"]
    assert command("lint", "--diff", old, new).out.count("findings are in both") == 2
    done = command("lint", "--diff", old, tmp_path / "one.mlmodelc")
    assert (done.code, done.out) == (2, "")
    assert f"{old} has model0, model1; {tmp_path}/one.mlmodelc has one model" in done.err
    (tmp_path / "plan.json").write_text("{}")
    done = command("lint", "--measured", tmp_path / "plan.json", old)
    assert done.code == 2
    assert "a pipeline of model0, model1; a plan is compared with one program" in done.err


def test_nothing_is_compared_with_what_can_not_be_read(command: Command, tmp_path: Path) -> None:
    compiled(tmp_path / "one.mlmodelc", GELU)
    (tmp_path / "empty.mlmodel").write_text("")
    done = command("lint", "--diff", tmp_path / "one.mlmodelc", tmp_path / "empty.mlmodel")
    assert (done.code, done.out) == (2, "")
    assert "an empty file" in done.err


def test_a_compiled_neural_network_is_told_layer_by_layer(command: Command, tmp_path: Path) -> None:
    layers = [{"name": "a", "type": "convolution"}, {"name": "b", "type": "convolution"}, {"name": "c", "type": "pool"}]
    folder = compiled(tmp_path / "old.mlmodelc", json.dumps({"layers": layers}), "model.espresso.net")
    done = command("lint", folder, "--format", "json")
    assert done.code == 2
    (entry,) = json.loads(done.out)["unchecked"]
    assert entry["kind"] == "neuralNetwork"
    assert "3 layers: 2 convolution, 1 pool" in entry["about"]
    assert "compiled from a .mlmodel" in entry["hint"]


def test_the_entries_are_what_the_schema_says(command: Command, tmp_path: Path) -> None:
    jsonschema: Any = pytest.importorskip("jsonschema")
    pipeline(tmp_path / "p.mlmodelc")
    compiled(tmp_path / "bare.mlmodelc", STORED)
    (tmp_path / "pointer.mlmodel").write_text(POINTER)
    jsonschema.validate(json.loads(command("lint", tmp_path, "--format", "json").out), schema())
