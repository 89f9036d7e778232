"""Models that are no ML programs: refused, but told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mctc.package import Feature, ForeignModel, NotAProgram, TensorType, read_package
from mctc.package.protobuf import model_class


def refused(model: Any, tmp_path: Path) -> ForeignModel:
    path = tmp_path / "old.mlmodel"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotAProgram, match="only ML programs are read") as raised:
        read_package(path)
    assert raised.value.hint == "convert it with convert_to='mlprogram'"
    assert raised.value.model.path == path
    return raised.value.model


@pytest.mark.parametrize("kind", ["neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"])
def test_the_layers_of_a_neural_network_are_told(tmp_path: Path, kind: str) -> None:
    model = model_class()(specificationVersion=4)
    network = getattr(model, kind)
    network.layers.add(name="first").convolution.kernelChannels = 3
    network.layers.add(name="second").uniDirectionalLSTM.inputVectorSize = 8
    network.layers.add(name="third")
    array = model.description.input.add(name="x").type.multiArrayType
    array.shape.extend([1, 3])
    array.dataType = array.FLOAT32
    model.description.output.add(name="label").type.stringType.SetInParent()
    found = refused(model, tmp_path)
    assert (found.kind, found.spec_version) == (kind, 4)
    assert found.layers == (("first", "convolution"), ("second", "uniDirectionalLSTM"), ("third", "unknown"))
    assert found.inputs == (Feature("x", "tensor", TensorType("fp32", (1, 3))),)
    assert found.outputs == (Feature("label", "string", None),)


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_the_members_of_a_pipeline_are_told(tmp_path: Path, kind: str) -> None:
    model = model_class()()
    content = getattr(model, kind)
    models = (content if kind == "pipeline" else content.pipeline).models
    models.add().neuralNetwork.SetInParent()
    models.add().mlProgram.SetInParent()
    models.add()
    found = refused(model, tmp_path)
    assert (found.kind, found.members, found.layers) == (kind, ("neuralNetwork", "mlProgram", "nothing"), ())


def test_any_other_kind_is_named(tmp_path: Path) -> None:
    model = model_class()()
    model.scaler.SetInParent()
    assert refused(model, tmp_path) == ForeignModel(tmp_path / "old.mlmodel", 0, "scaler")
    assert refused(model_class()(), tmp_path).kind == "nothing"
