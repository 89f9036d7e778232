"""Numbers of an ONNX model: initialisers and constants, inside of branches too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.checkpoint import WeightsError
from mctc.importing import Checkpoint

onnx = pytest.importorskip("onnx")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper

RNG = np.random.default_rng(0)
OUTER, INNER = (RNG.normal(size=(3, 2)).astype(t) for t in (np.float32, np.float16))


def branch(name: str, constant: str) -> object:
    value = numpy_helper.from_array(INNER, "value")
    node = helper.make_node("Constant", [], [constant], value=value)
    out = helper.make_tensor_value_info(constant, TensorProto.FLOAT16, [3, 2])
    return helper.make_graph([node], name, [], [out])


def model(folder: Path, other: str = "b.weight", **options: object) -> Path:
    chosen = helper.make_node(
        "If", ["which"], ["y"], then_branch=branch("then", "a.weight"), else_branch=branch("else", other)
    )
    inputs = [helper.make_tensor_value_info("which", TensorProto.BOOL, [])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [3, 2])]
    initialisers = [
        numpy_helper.from_array(array, name)
        for name, array in (("outer", OUTER), ("shape", np.array([3, 2])), ("scale", np.float32(2)))
    ]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(helper.make_graph([chosen], "g", inputs, outputs, initialisers)), str(path), **options)
    return path


def test_floating_point_tensors_are_found_wherever_they_stand(tmp_path: Path) -> None:
    checkpoint = Checkpoint(model(tmp_path))
    assert checkpoint.shapes == {"outer": (3, 2), "a.weight": (3, 2), "b.weight": (3, 2)}  # no shapes, no scalars
    np.testing.assert_array_equal(checkpoint.read("outer"), OUTER)
    assert checkpoint.read("a.weight").dtype == np.float32
    np.testing.assert_array_equal(checkpoint.read("a.weight"), INNER.astype(np.float32))


def test_numbers_beside_the_model_are_read_and_missed(tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "numbers", "size_threshold": 0}
    path = model(tmp_path, **options)
    np.testing.assert_array_equal(Checkpoint(path).read("outer"), OUTER)
    (tmp_path / "numbers").unlink()
    with pytest.raises(WeightsError, match="tensor outer can't be read"):
        Checkpoint(path).read("outer")


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"two tensors called a\.weight"):
        Checkpoint(model(tmp_path, other="a.weight"))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"\xff\xff no model")
    with pytest.raises(WeightsError, match="is no ONNX model"):
        Checkpoint(path)
    with pytest.raises(WeightsError, match="cannot read"):
        Checkpoint(tmp_path / "missing.onnx")


def test_numbers_beyond_fp32_are_refused_and_infinite_ones_kept(tmp_path: Path) -> None:
    given = {"large": np.array([1e300, 1.0]), "infinite": np.array([np.inf, 1.0])}
    initialisers = [numpy_helper.from_array(array, name) for name, array in given.items()]
    path = tmp_path / "doubles.onnx"
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], initialisers)), str(path))
    checkpoint = Checkpoint(path)
    np.testing.assert_array_equal(checkpoint.read("infinite"), given["infinite"])
    with pytest.raises(WeightsError, match="tensor large has numbers beyond those of fp32"):
        checkpoint.read("large")


def test_a_constant_that_nothing_takes_is_left_out(tmp_path: Path) -> None:
    node = helper.make_node("Constant", [], [], value=numpy_helper.from_array(OUTER, "value"))
    path = tmp_path / "constant.onnx"
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [])), str(path))
    assert Checkpoint(path).shapes == {}
