"""A .mlmodelc folder: the program as text, and what metadata.json tells of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.package import Feature, Metadata, NotAProgram, PackageError, TensorType, read_package

PROGRAM = """program(1.3)
{
    func main<ios18>(tensor<fp16, [1, 2]> x) {
        tensor<fp16, [1, 2]> y = relu(x = x)[name = string("y")];
    } -> (y);
}
"""
INPUT = {
    "name": "x",
    "type": "MultiArray",
    "dataType": "Float16",
    "shape": "[1, 2]",
    "isOptional": "1",
    "hasShapeFlexibility": "0",
    "shortDescription": "sound",
}
METADATA: dict[str, Any] = {
    "metadataOutputVersion": "3.0",
    "specificationVersion": 8,
    "modelType": {"name": "MLModelType_mlProgram"},
    "author": "someone",
    "userDefinedMetadata": {"note": "a note", "broken": 3},
    "inputSchema": [INPUT],
    "outputSchema": [{"name": "y", "type": "MultiArray", "dataType": "Float32", "shape": "[]"}],
    "stateSchema": [{"name": "s", "type": "State", "dataType": "Float16", "shape": "[1, 3]"}],
}


def compiled(tmp_path: Path, metadata: Any = None, program: str | None = PROGRAM) -> Path:
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir(exist_ok=True)
    if program is not None:
        (folder / "model.mil").write_text(program)
    if metadata is not None:
        (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


def described(tmp_path: Path, **fields: Any) -> Feature:
    """The record of an input with these fields in its schema."""
    package = read_package(compiled(tmp_path, [{**METADATA, "inputSchema": [{**INPUT, **fields}]}]))
    return package.descriptions["main"].inputs[0]


def test_the_program_alone_is_enough(tmp_path: Path) -> None:
    package = read_package(compiled(tmp_path))
    assert (package.container, package.opset, package.spec_version) == ("mlmodelc", "CoreML8", 9)
    assert (package.metadata, package.descriptions) == (Metadata(), {})


def test_a_folder_of_another_name_is_known_by_its_program(tmp_path: Path) -> None:
    assert read_package(compiled(tmp_path).rename(tmp_path / "unpacked")).container == "mlmodelc"


def test_the_metadata_are_told(tmp_path: Path) -> None:
    package = read_package(compiled(tmp_path, [METADATA]))
    assert (package.spec_version, package.metadata.author, dict(package.metadata.user)) == (
        8,
        "someone",
        {"note": "a note"},
    )
    main = package.descriptions["main"]
    assert main.inputs == (Feature("x", "tensor", TensorType("fp16", (1, 2)), optional=True, description="sound"),)
    assert main.outputs == (Feature("y", "tensor", TensorType("fp32", ())),)
    assert main.states == (Feature("s", "state", TensorType("fp16", (1, 3))),)


def test_several_functions_are_described_each(tmp_path: Path) -> None:
    functions = [{"name": name, "inputSchema": [{**INPUT, "name": name}]} for name in ("main", "other")]
    package = read_package(compiled(tmp_path, [{**METADATA, "functions": functions, "defaultFunctionName": "gone"}]))
    assert [item.inputs[0].name for item in package.descriptions.values()] == ["main", "other"]
    assert package.default_function == "main"


def test_flexible_shapes_are_told(tmp_path: Path) -> None:
    by_list = described(tmp_path, enumeratedShapes="[[1, 2], [1, 4]]", hasShapeFlexibility="1")
    assert (by_list.flexible, by_list.enumerated, by_list.ranges) == (True, ((1, 2), (1, 4)), ())
    by_range = described(tmp_path, shapeRange="[[1, 1], [2, -1]]", hasShapeFlexibility="1")
    assert (by_range.flexible, by_range.enumerated, by_range.ranges) == (True, (), ((1, 1), (2, None)))


@pytest.mark.parametrize(
    "fields",
    [{"shape": "[1, "}, {"shape": "[1, 2.5]"}, {"shape": {}}, {"shape": "[" * 100_000}, {"shape": None}],
    ids=["cut", "a fraction", "an object", "deep", "none"],
)  # fmt: skip
def test_a_shape_that_is_none_is_passed_over(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert described(tmp_path, **fields).type is None


BROKEN: list[tuple[str, Callable[[Path], Any]]] = [
    ("not JSON", lambda f: f.write_text("{")),
    ("too deep", lambda f: f.write_text("[" * 200_000)),
    ("not text", lambda f: f.write_bytes(b"\xff\xfe")),
    ("a number", lambda f: f.write_text("7")),
    ("an empty list", lambda f: f.write_text("[]")),
    ("other types", lambda f: f.write_text(json.dumps([{key: [5] for key in METADATA}]))),
    ("a pipe", os.mkfifo),
    ("a folder", Path.mkdir),
    ("a link out", lambda f: f.symlink_to("/etc/passwd")),
]


@pytest.mark.parametrize(("kind", "write"), BROKEN, ids=[row[0] for row in BROKEN])
def test_broken_metadata_are_passed_over(tmp_path: Path, kind: str, write: Callable[[Path], Any]) -> None:
    folder = compiled(tmp_path)
    write(folder / "metadata.json")
    package = read_package(folder)
    assert (package.spec_version, package.descriptions) == (9, {})


def test_a_compiled_neural_network_is_told_apart(tmp_path: Path) -> None:
    folder = compiled(tmp_path, program=None)
    with pytest.raises(PackageError, match="isn't a compiled ML program"):
        read_package(folder)
    (folder / "model.espresso.net").write_text('{"layers": [{"name": "first", "type": "convolution"}, {}, 3]}')
    with pytest.raises(NotAProgram, match="the model is a neuralNetwork, only ML programs are read") as raised:
        read_package(folder)
    assert raised.value.model.layers == (("first", "convolution"), ("", "unknown"))
    assert "compiled from a .mlmodel" in (raised.value.hint or "")
    (folder / "model.espresso.net").write_text("[" * 100_000)
    with pytest.raises(NotAProgram, match="the model is a neuralNetwork"):
        read_package(folder)
    metadata = {**METADATA, "modelType": {"name": "MLModelType_pipeline"}}
    with pytest.raises(NotAProgram) as raised:
        read_package(compiled(tmp_path, [metadata], program=None))
    model = raised.value.model
    assert (model.kind, model.spec_version, model.inputs[0].name) == ("pipeline", 8, "x")


DAMAGES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("noise", lambda f: f.write_bytes(b"\xff" * 64), "not a text"),
    ("empty", lambda f: f.write_text(""), "an empty file"),
    ("a pipe", lambda f: (f.unlink(), os.mkfifo(f)), "not a regular file"),
    ("a link out", lambda f: (f.unlink(), f.symlink_to("/etc/passwd")), "leads outside the package"),
    ("a link to itself", lambda f: (f.unlink(), f.symlink_to(f)), "can't be"),
]


@pytest.mark.parametrize(("damage", "message"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_a_damaged_program_is_refused(tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    folder = compiled(tmp_path)
    damage(folder / "model.mil")
    with pytest.raises(PackageError, match=message):
        read_package(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("[1, 2]"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*METADATA, *INPUT]), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(changes=st.dictionaries(st.sampled_from([*METADATA]), JSON, max_size=4))
def test_whatever_the_metadata_hold_the_program_is_read(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert read_package(compiled(tmp_path, [{**METADATA, **changes}])).functions["main"].outputs[0].name == "y"
