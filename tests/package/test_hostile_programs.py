"""Programs that claim what can't be: read where nothing depends on it, refused where something does."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.package import ListType, PackageError, Reference, TensorType, functions, read_package
from mctc.package.protobuf import model_class

HUGE = (1 << 64) - 1


@pytest.fixture
def model() -> Any:
    """A program of one relu, to be made hostile."""
    model = model_class()(specificationVersion=9)
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML8"
    function.inputs.add(name="x").type.tensorType.dataType = 10
    block = function.block_specializations["CoreML8"]
    operation = block.operations.add(type="relu")
    operation.inputs["x"].arguments.add(name="x")
    operation.outputs.add(name="y").type.tensorType.dataType = 10
    block.outputs.append("y")
    return model


def body(model: Any) -> Any:
    return model.mlProgram.functions["main"].block_specializations["CoreML8"]


def saved(model: Any, folder: Path) -> Path:
    (folder / "m.mlmodel").write_bytes(model.SerializeToString())
    return folder / "m.mlmodel"


def test_huge_extents_are_numbers(model: Any, tmp_path: Path) -> None:
    type_ = body(model).operations[0].outputs[0].type.tensorType
    for _ in range(4):
        type_.dimensions.add().constant.size = HUGE
    held = body(model).operations.add(type="make_list").outputs.add(name="l").type.listType
    held.type.tensorType.dataType = 10
    held.length.constant.size = HUGE
    main = read_package(saved(model, tmp_path)).functions["main"]
    assert main.outputs[0].type == TensorType("fp16", (HUGE,) * 4)
    assert main.operations[1].outputs[0].type == ListType(TensorType("fp16", ()), HUGE)


def test_an_empty_constant_of_huge_extents_is_refused_when_it_is_wanted(model: Any, tmp_path: Path) -> None:
    value = body(model).operations[0].attributes["val"]
    value.type.tensorType.dataType = 10
    for size in (0, HUGE, HUGE):
        value.type.tensorType.dimensions.add().constant.size = size
    value.immediateValue.tensor.bytes.values = b""
    constant = read_package(saved(model, tmp_path)).functions["main"].operations[0].attributes["val"]
    with pytest.raises(PackageError, match=r"function 'main', operation 0, relu: .* can't be read"):
        constant.value()


def test_a_name_that_nothing_defines_is_read(model: Any, tmp_path: Path) -> None:
    body(model).operations[0].inputs["x"].arguments[0].name = "ghost"
    main = read_package(saved(model, tmp_path)).functions["main"]
    assert main.operations[0].inputs["x"] == (Reference("ghost"),)


def test_blocks_are_as_deep_as_protobuf_lets_them(model: Any, tmp_path: Path) -> None:
    for depth, message in ((40, None), (60, "not a Core ML specification")):
        inner = body(model)
        for _ in range(depth):
            inner = inner.operations.add(type="cond").blocks.add()
        if message is None:
            assert len(list(read_package(saved(model, tmp_path)).functions["main"].walk())) == depth + 1
        else:
            with pytest.raises(PackageError, match=message):
                read_package(saved(model, tmp_path))


def test_a_program_of_too_many_operations_is_refused(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "_OPERATIONS_LIMIT", 3)
    for _ in range(2):
        body(model).operations.add(type="relu")
    read_package(saved(model, tmp_path))
    body(model).operations.add(type="relu")
    with pytest.raises(PackageError, match="more than 3 operations"):
        read_package(saved(model, tmp_path))
    (tmp_path / "m.mlmodelc").mkdir()
    (tmp_path / "m.mlmodelc/model.mil").write_text("program(1.0) { func f() {" + "g();" * 4 + "} -> (); }")
    with pytest.raises(PackageError, match="more than 3 operations"):
        read_package(tmp_path / "m.mlmodelc")


PATHS = ["", ".", "..", "a\0b", "\ud800", "x" * 5000, "/" * 5000, "a/" * 2500, "./../Data", 7, None, [], {}]


@pytest.mark.parametrize("path", PATHS, ids=[repr(item)[:12] for item in PATHS])
def test_whatever_path_a_manifest_names_is_refused_in_words(tmp_path: Path, path: Any) -> None:
    (tmp_path / "Data").mkdir()
    content = {"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": path}}}
    (tmp_path / "Manifest.json").write_text(json.dumps(content))
    with pytest.raises(PackageError):
        read_package(tmp_path)


def test_pipes_and_links_in_the_place_of_a_manifest_are_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "Manifest.json"
    os.mkfifo(manifest)
    with pytest.raises(PackageError, match="not a regular file"):
        read_package(tmp_path)
    manifest.unlink()
    manifest.symlink_to("/dev/zero")
    with pytest.raises(PackageError, match="leads outside the package"):
        read_package(tmp_path)
    manifest.unlink()
    manifest.symlink_to(manifest)
    with pytest.raises(PackageError):
        read_package(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "\udcff", ""])
def test_a_path_that_no_file_system_holds_is_told(path: str) -> None:
    with pytest.raises(PackageError):
        read_package(path)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_changed_messages_never_surprise(model: Any, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is cut out of a specification, doubled or put in, it and its values are read or refused."""
    value = body(model).operations[0].attributes["val"]
    value.type.tensorType.dataType = 23
    value.type.tensorType.dimensions.add().constant.size = 3
    del value.type.tensorType.dimensions[1:]
    value.immediateValue.tensor.ints.values[:] = [1, 2, 3]
    content = model.SerializeToString()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + data.draw(st.binary(max_size=4)) + content[end:]
    (tmp_path / "m.mlmodel").write_bytes(content)
    with contextlib.suppress(PackageError):
        package = read_package(tmp_path / "m.mlmodel")
        for operation in (item for function in package.functions.values() for item in function.walk()):
            for constant in operation.attributes.values():
                with contextlib.suppress(PackageError):
                    constant.value()
