"""Damaged and hostile packages: an error that names the place, never anything else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.evaluate.coreml import EvaluationError, Evaluator
from mctc.package import PackageError, read_package
from mctc.package.protobuf import model_class

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A copy of the made package, to be damaged."""
    return Path(shutil.copytree(made, tmp_path / "copy.mlpackage"))


def edit(package: Path, change: Callable[[Any], None]) -> None:
    """Changes the specification of a package."""
    model = model_class()()
    model.ParseFromString((package / MODEL).read_bytes())
    change(model)
    (package / MODEL).write_bytes(model.SerializeToString())


def block(model: Any) -> Any:
    """The body of a specification's main function."""
    function = model.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def value(model: Any, stored: bool) -> Any:
    """The value of the first constant that is, or isn't, in the weight file."""
    values = (item.attributes["val"] for item in block(model).operations if item.type == "const")
    return next(item for item in values if (item.WhichOneof("value") == "blobFileValue") is stored)


def manifest(path: str) -> Callable[[Path], None]:
    def change(package: Path) -> None:
        content = json.loads((package / "Manifest.json").read_text())
        content["itemInfoEntries"][content["rootModelIdentifier"]]["path"] = path
        (package / "Manifest.json").write_text(json.dumps(content))

    return change


def pipe_in_place_of_weights(package: Path) -> None:
    (package / WEIGHTS).unlink()
    os.mkfifo(package / WEIGHTS)


def link_out(package: Path) -> None:
    outside = package.parent / "weight.bin"
    shutil.move(package / WEIGHTS, outside)
    (package / WEIGHTS).symlink_to(outside)


DAMAGES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("no manifest", lambda p: (p / "Manifest.json").unlink(), "no Manifest.json"),
    ("manifest not JSON", lambda p: (p / "Manifest.json").write_text("{"), "not readable as JSON"),
    ("manifest too deep", lambda p: (p / "Manifest.json").write_text("[" * 200_000), "not readable as JSON"),
    ("manifest of another shape", lambda p: (p / "Manifest.json").write_text("[]"), "itemInfoEntries"),
    ("root leads out", manifest("../../../etc/passwd"), "leads outside the package"),
    ("root is absolute", manifest("/etc/passwd"), "leads outside the package"),
    ("root is a folder", manifest("com.apple.CoreML"), "not a regular file"),
    ("root is missing", manifest("com.apple.CoreML/other.mlmodel"), "there is no such file"),
    ("model cut short", lambda p: os.truncate(p / MODEL, 100), "not a Core ML specification"),
    ("model is noise", lambda p: (p / MODEL).write_bytes(b"\xff" * 64), "not a Core ML specification"),
    ("model is empty", lambda p: (p / MODEL).write_bytes(b""), "an empty file"),
    ("no weights", lambda p: (p / WEIGHTS).unlink(), "there is no such file"),
    ("weights empty", lambda p: os.truncate(p / WEIGHTS, 0), "an empty file"),
    ("weights cut short", lambda p: os.truncate(p / WEIGHTS, 150), "its data end at byte"),
    ("weights cut in the record", lambda p: os.truncate(p / WEIGHTS, 100), "are wanted, the file has 100"),
    ("weights of another kind", lambda p: (p / WEIGHTS).write_bytes(b"\1" * 400), "storage version 16843009"),
    ("weights a pipe", pipe_in_place_of_weights, "regular file"),
    ("weights linked out", link_out, "leads outside the package"),
]


@pytest.mark.parametrize(("damage", "message"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_damaged_package_is_refused(copy: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(copy)
    with pytest.raises(PackageError, match=message) as raised:
        read_package(copy)
    assert raised.value.message.startswith(str(copy))


def set_offset(offset: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        value(model, True).blobFileValue.offset = offset

    return change


def set_file(name: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        value(model, True).blobFileValue.fileName = name

    return change


def set_extent(stored: bool, extent: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        item = value(model, stored)
        dims = item.type.tensorType.dimensions
        (dims[0] if dims else dims.add()).constant.size = extent

    return change


EDITS: list[tuple[str, Callable[[Any], None], str]] = [
    ("offset beyond the file", set_offset(1 << 62), "are wanted, the file has"),
    ("offset of nothing", set_offset(0), "no tensor record here"),
    ("weights outside", set_file("@model_path/../../../secret"), "isn't inside the package"),
    ("weights absolute", set_file("/etc/passwd"), "isn't inside the package"),
    ("a huge weight", set_extent(True, 1 << 60), "needs"),
    ("a huge constant", set_extent(False, 1 << 60), r"needs \d+ (elements|bytes), the program holds"),
    ("no body", lambda m: m.mlProgram.functions["main"].block_specializations.clear(), "no body for its opset"),
    ("no functions", lambda m: m.mlProgram.functions.clear(), "has no functions"),
    ("a result never computed", lambda m: block(m).outputs.append("ghost"), "'ghost' is never computed"),
    ("a foreign default", lambda m: setattr(m.description, "defaultFunctionName", "x"), "the default function 'x'"),
    ("a neural network", lambda m: m.neuralNetwork.layers.add(), "only ML programs are read"),
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_a_specification_that_lies_is_refused(copy: Path, change: Callable[[Any], None], message: str) -> None:
    edit(copy, change)
    with pytest.raises(PackageError, match=message) as raised:
        read_package(copy)
    assert raised.value.message.startswith(str(copy))
    assert raised.value.message.count(str(copy)) == 1


def test_a_damaged_weight_file_is_named_as_the_user_names_the_package(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = copy.with_name("link.mlpackage")
    link.symlink_to(copy)
    os.truncate(copy / WEIGHTS, 150)
    monkeypatch.chdir(copy.parent)
    for name in (copy.name, link.name):
        with pytest.raises(PackageError, match=rf"^{name}/{WEIGHTS}, record at byte 64: ") as raised:
            read_package(name)
        assert "write the package again" in (raised.value.hint or "")


def test_a_path_that_is_no_package_is_told(tmp_path: Path) -> None:
    for path, message in (("missing", "no such package"), ("file", "this is a file"), ("folder", "no Manifest.json")):
        (tmp_path / "file").write_bytes(bytes(8))
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(PackageError, match=message):
            read_package(tmp_path / path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_flipped_bytes_never_surprise(made: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever a few wrong bytes do, reading and compiling end in a result or in a located error."""
    package = tmp_path / "flipped.mlpackage"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(made, package)
    place = data.draw(st.sampled_from([MODEL, WEIGHTS]))
    content = bytearray((package / place).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (package / place).write_bytes(content)
    with contextlib.suppress(PackageError, EvaluationError):
        evaluator = Evaluator(package)
        for name in evaluator.functions:
            evaluator.function(name)
