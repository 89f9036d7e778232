"""Neural networks as read: layers without their numbers, which are counted and never loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mctc.package import NotAProgram, PackageError, read_package
from mctc.package.network import Network, Weight
from mctc.package.protobuf import model_class
from mctc.package.thinned import thinned


def network_of(model: Any, tmp_path: Path) -> Network:
    path = tmp_path / "old.mlmodel"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotAProgram) as raised:
        read_package(path)
    assert raised.value.model.network is not None
    return raised.value.model.network


def test_weights_of_every_kind_are_counted_and_taken_out(tmp_path: Path) -> None:
    model = model_class()(specificationVersion=4)
    layer = model.neuralNetwork.layers.add(name="c", input=["x"], output=["y"]).convolution
    layer.weights.floatValue.extend([1.0] * 300)
    layer.bias.float16Value = b"ab" * 20
    inner = model.neuralNetwork.layers.add(name="i").innerProduct
    inner.weights.rawValue = bytes(30)
    inner.weights.quantization.numberOfBits = 4
    inner.weights.quantization.lookupTableQuantization.floatValue.extend(range(16))
    inner.bias.int8RawValue = bytes(7)
    gates = model.neuralNetwork.layers.add(name="l").biDirectionalLSTM.weightParams
    gates.add().inputGateBiasVector.floatValue.extend([0.0] * 5)
    gates.add().inputGateBiasVector.floatValue.extend([0.0] * 6)
    convolution, product, lstm = network_of(model, tmp_path).layers
    assert convolution.weights == (Weight("weights", 300, 32, 1200), Weight("bias", 20, 16, 40))
    assert product.weights == (Weight("weights", 60, 4, 30), Weight("bias", 7, 8, 7))
    assert lstm.weights == (
        Weight("weightParams[0].inputGateBiasVector", 5, 32, 20),
        Weight("weightParams[1].inputGateBiasVector", 6, 32, 24),
    )
    assert (convolution.inputs, convolution.outputs, convolution.parameters) == (("x",), ("y",), 320)
    assert not convolution.settings.weights.floatValue
    assert list(product.settings.weights.quantization.lookupTableQuantization.floatValue) == list(range(16))


def test_what_is_parsed_is_small_whatever_the_weights(tmp_path: Path) -> None:
    model = model_class()()
    model.pipeline.models.add().neuralNetwork.layers.add().innerProduct.weights.floatValue.extend([0.5] * 100_000)
    content = model.SerializeToString()
    thin = thinned(lambda place, size: content[place : place + size], len(content), model.DESCRIPTOR)
    assert len(content) > 400_000
    assert len(thin) < 200


def test_a_specification_without_weights_stays_as_it_is() -> None:
    model = model_class()(specificationVersion=8)
    model.mlProgram.functions["main"].opset = "CoreML7"
    model.description.metadata.userDefined["a"] = "b"
    content = model.SerializeToString()
    assert thinned(lambda place, size: content[place : place + size], len(content), model.DESCRIPTOR) == content


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_network_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    model = model_class()(specificationVersion=4)
    model.neuralNetwork.layers.add(name="a").convolution.weights.floatValue.extend([1.0] * 20)
    path = tmp_path / "cut.mlmodel"
    path.write_bytes(model.SerializeToString()[:-cut])
    with pytest.raises(PackageError, match="not a Core ML specification"):
        read_package(path)


def test_layers_of_branches_and_loops_are_read_in_order(tmp_path: Path) -> None:
    model = model_class()()
    layers = model.neuralNetwork.layers
    branch = layers.add(name="a").branch
    branch.ifBranch.layers.add(name="b").copy.SetInParent()
    branch.elseBranch.layers.add(name="c").loop.bodyNetwork.layers.add(name="d").copy.SetInParent()
    layers.add(name="e").copy.SetInParent()
    network = network_of(model, tmp_path)
    assert [(layer.index, layer.name) for layer in network.walk()] == list(enumerate("abcde"))
    assert [name for name, _ in network.layers[0].inner] == ["ifBranch", "elseBranch"]


@pytest.mark.parametrize(
    ("exact", "shape", "seen"),
    [
        (False, [7], (1, 1, 7, 1, 1)),
        (False, [3, 8, 9], (1, 1, 3, 8, 9)),
        (False, [2, 1, 3, 8, 9], (2, 1, 3, 8, 9)),
        (False, [8, 9], None),
        (True, [8, 9], (8, 9)),
        (True, [], None),
    ],
)
def test_arrays_come_in_the_shape_that_the_mapping_says(
    tmp_path: Path, exact: bool, shape: list[int], seen: tuple[int, ...] | None
) -> None:
    model = model_class()()
    model.neuralNetwork.arrayInputShapeMapping = int(exact)
    model.description.input.add(name="x").type.multiArrayType.shape.extend(shape)
    assert network_of(model, tmp_path).inputs == {"x": seen}


@pytest.mark.parametrize(("rank4", "color", "seen"), [(0, "RGB", (1, 1, 3, 5, 7)), (1, "GRAYSCALE", (1, 1, 5, 7))])
def test_images_come_as_planes(tmp_path: Path, rank4: int, color: str, seen: tuple[int, ...]) -> None:
    model = model_class()()
    model.neuralNetworkClassifier.imageInputShapeMapping = rank4
    image = model.description.input.add(name="x").type.imageType
    image.height, image.width, image.colorSpace = 5, 7, image.ColorSpace.Value(color)
    assert network_of(model, tmp_path).inputs == {"x": seen}
