"""Models that are no ML programs: refused, but told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mctc.package import Feature, ForeignModel, NotAProgram, Package, TensorType, read_package
from mctc.package.protobuf import model_class


def refused(model: Any, tmp_path: Path, hint: str) -> ForeignModel:
    path = tmp_path / "old.mlmodel"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotAProgram, match="only ML programs are read") as raised:
        read_package(path)
    assert hint in (raised.value.hint or "")
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
    found = refused(model, tmp_path, "convert_to='mlprogram'")
    assert (found.kind, found.spec_version) == (kind, 4)
    assert found.layers == (("first", "convolution"), ("second", "uniDirectionalLSTM"), ("third", "unknown"))
    assert found.inputs == (Feature("x", "tensor", TensorType("fp32", (1, 3))),)
    assert found.outputs == (Feature("label", "string", None),)


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_the_members_of_a_pipeline_are_told(tmp_path: Path, kind: str) -> None:
    model = model_class()()
    content = getattr(model, kind)
    models = (content if kind == "pipeline" else content.pipeline).models
    models.add().neuralNetwork.layers.add(name="first").convolution.SetInParent()
    program = models.add()
    program.mlProgram.functions["main"].opset = "CoreML7"
    program.mlProgram.functions["main"].block_specializations["CoreML7"].SetInParent()
    models.add().scaler.SetInParent()
    (content if kind == "pipeline" else content.pipeline).names.extend(["network", "detector"])
    found = refused(model, tmp_path, "models of their own")
    network, detector, scaler = found.members
    assert (found.kind, found.layers) == (kind, ())
    assert isinstance(network, ForeignModel)
    assert (network.kind, network.layers, network.member) == ("neuralNetwork", (("first", "convolution"),), "network")
    assert isinstance(detector, Package)
    assert (detector.opset, detector.member, detector.path) == ("CoreML7", "detector", found.path)
    assert isinstance(scaler, ForeignModel)
    assert (scaler.kind, scaler.member) == ("scaler", "model2")


def test_any_other_kind_is_named(tmp_path: Path) -> None:
    model = model_class()()
    model.scaler.SetInParent()
    assert refused(model, tmp_path, "no layers") == ForeignModel(tmp_path / "old.mlmodel", 0, "scaler")
    assert refused(model_class()(specificationVersion=1), tmp_path, "no layers").kind == "nothing"
