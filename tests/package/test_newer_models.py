"""What a newer Core ML may write: read as far as it can be, an error only where a value is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator
from mctc.package import PackageError, TensorType, read_package
from mctc.package.protobuf import model_class


def program(tmp_path: Path, number: int) -> Path:
    """A model of one op that nobody knows, with a constant and a result of element type `number`."""
    model: Any = model_class()(specificationVersion=99)
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML99"
    block = function.block_specializations["CoreML99"]
    const = block.operations.add(type="const")
    const.outputs.add(name="c").type.tensorType.dataType = number
    const.attributes["val"].type.tensorType.dataType = number
    const.attributes["val"].immediateValue.tensor.bytes.values = b"abc"
    op = block.operations.add(type="from_the_future")
    op.outputs.add(name="y").type.tensorType.dataType = number
    block.outputs.append("y")
    (tmp_path / "new.mlmodel").write_bytes(model.SerializeToString())
    return tmp_path / "new.mlmodel"


def test_an_unknown_element_type_keeps_its_number(tmp_path: Path) -> None:
    package = read_package(program(tmp_path, 77))
    function = package.functions["main"]
    assert package.opset == "CoreML99"
    assert [operation.type for operation in function.operations] == ["const", "from_the_future"]
    assert function.outputs[0].type == TensorType("unknown<77>", ())


def test_a_value_of_it_is_refused_when_it_is_wanted(tmp_path: Path) -> None:
    path = program(tmp_path, 40)
    value = read_package(path).functions["main"].operations[0].attributes["val"]
    with pytest.raises(PackageError, match=r"function 'main', operation 0, const: .*element type isn't known"):
        value.value()
    with pytest.raises((PackageError, EvaluationError), match="function 'main', operation 0, const"):
        Evaluator(path).function()


def test_a_weight_of_it_can_be_measured_but_not_read(made: Path, tmp_path: Path) -> None:
    folder = made / "Data/com.apple.CoreML"
    model: Any = model_class()()
    model.ParseFromString((folder / "model.mlmodel").read_bytes())
    block = model.mlProgram.functions["main"].block_specializations["CoreML8"]
    values = (op.attributes["val"] for op in block.operations if op.type == "const")
    blob = next(item for item in values if item.WhichOneof("value") == "blobFileValue")
    blob.type.tensorType.dataType = 13
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/weight.bin").write_bytes((folder / "weights/weight.bin").read_bytes())
    (tmp_path / "new.mlmodel").write_bytes(model.SerializeToString())
    constants = [op.attributes.get("val") for op in read_package(tmp_path / "new.mlmodel").functions["main"].walk()]
    stored = next(item for item in constants if item is not None and item.stored_bytes)
    assert (stored.type, stored.stored_bytes) == (TensorType("unknown<13>", (6, 4, 1, 1)), 48)
    with pytest.raises(PackageError, match="element type isn't known"):
        stored.value()
