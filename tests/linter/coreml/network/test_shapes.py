"""Shapes and multiply-accumulates of layers, by the formulas of NeuralNetwork.proto, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mctc.linter.coreml.network.graph import NetworkGraph
from mctc.linter.coreml.network.notation import read_network_notation
from mctc.linter.coreml.network.shapes import CONTROL, RULES
from mctc.package.network import Extents
from mctc.package.protobuf import model_class, network_messages
from mctc.package.specification import foreign_model
from mctc.package.thinned import thinned
from mctc.package.weights import Weights

PLANES = {
    # convolution: (12 + 1 + 2 - 3) // 2 + 1 = 7, and (10 - 3) // 2 + 1 = 4
    'convolution(x, outputChannels=8, kernelChannels=4, kernelSize=[3, 3], stride=[2, 2], valid={"paddingAmounts": '
    '{"borderAmounts": [{"startEdgeSize": 1, "endEdgeSize": 2}, {}]}})': ([1, 8, 7, 4], 8 * 7 * 4 * 4 * 9),
    "convolution(x, outputChannels=8, kernelChannels=4, stride=[5, 3], same={})": ([1, 8, 3, 4], 8 * 3 * 4 * 4 * 9),
    "convolution(x, outputChannels=8, kernelChannels=4, kernelSize=[3, 3], dilationFactor=[2, 4], valid={})": (
        [1, 8, 8, 2],
        8 * 8 * 2 * 4 * 9,
    ),
    "convolution(x, outputChannels=4, kernelChannels=1, nGroups=4, kernelSize=[1, 1], valid={})": (
        [1, 4, 12, 10],
        4 * 12 * 10,
    ),
    "convolution(x, outputChannels=6, kernelChannels=4, kernelSize=[4, 4], stride=[2, 2], isDeconvolution=True, "
    "valid={})": ([1, 6, 26, 22], 4 * 12 * 10 * 6 * 16),
    "convolution(x, outputChannels=6, kernelChannels=4, stride=[2, 2], isDeconvolution=True, same={})": (
        [1, 6, 24, 20],
        4 * 12 * 10 * 6 * 9,
    ),
    "convolution(x, outputChannels=6, kernelChannels=4, stride=[2, 2], isDeconvolution=True, outputShape=[25, 21])": (
        [1, 6, 25, 21],
        4 * 12 * 10 * 6 * 9,
    ),
    "convolution(x, outputChannels=6, kernelChannels=4)": (None, None),  # no padding is stated
    'pooling(x, kernelSize=[3, 3], stride=[2, 2], type="MAX", valid={})': ([1, 4, 5, 4], 0),
    "pooling(x, kernelSize=[3, 3], stride=[2, 2], same={})": ([1, 4, 6, 5], 0),
    "pooling(x, globalPooling=True, valid={})": ([1, 4, 1, 1], 0),
    # ceil((12 + 2 - 3) / 2) + 1 = 7, of which the last starts at 12 < 12 + 1; ceil((10 + 2 - 3) / 2) + 1 = 6, too
    'pooling(x, kernelSize=[3, 3], stride=[2, 2], includeLastPixel={"paddingAmounts": [1, 1]})': ([1, 4, 7, 6], 0),
    # ceil((12 + 2 - 2) / 3) + 1 = 5, the last starts at 12; ceil((10 + 2 - 2) / 3) + 1 = 5, at 12 >= 10 + 1: one less
    'pooling(x, kernelSize=[2, 2], stride=[3, 3], includeLastPixel={"paddingAmounts": [1, 1]})': ([1, 4, 5, 4], 0),
    "innerProduct(x, inputChannels=480, outputChannels=7)": ([1, 7, 1, 1], 480 * 7),
    "innerProduct(x, inputChannels=10, outputChannels=7)": (None, None),  # 480 numbers come in
    'crop(x, cropAmounts={"borderAmounts": [{"startEdgeSize": 1, "endEdgeSize": 2}, {"startEdgeSize": 3}]})': (
        [1, 4, 9, 7],
        0,
    ),
    'padding(x, constant={}, paddingAmounts={"borderAmounts": [{"startEdgeSize": 1}, {"endEdgeSize": 4}]})': (
        [1, 4, 13, 14],
        0,
    ),
    "upsample(x, scalingFactor=[2, 3])": ([1, 4, 24, 30], 0),
    "upsample(x, fractionalScalingFactor=[1.5, 2.25])": ([1, 4, 18, 22], 0),
    "resizeBilinear(x, targetSize=[5, 6])": ([1, 4, 5, 6], 0),
    'reorganizeData(x, mode="SPACE_TO_DEPTH", blockSize=2)': ([1, 16, 6, 5], 0),
    'reorganizeData(x, mode="DEPTH_TO_SPACE", blockSize=2)': ([1, 1, 24, 20], 0),
    "flatten(x)": ([1, 480, 1, 1], 0),
    "concat(x, x, x)": ([1, 12, 12, 10], 0),
    'slice(x, startIndex=2, endIndex=-1, stride=3, axis="HEIGHT_AXIS")': ([1, 4, 3, 10], 0),
    'reduce(x, mode="SUM", axis="HW")': ([1, 4, 1, 1], 0),
    'reduce(x, mode="SUM", axis="C")': ([1, 1, 12, 10], 0),
    "batchnorm(x, channels=4, gamma=4, beta=4, mean=4, variance=4)": ([1, 4, 12, 10], 0),
    "softmax(x)": ([1, 4, 12, 10], 0),
    "add(x, c)": ([1, 4, 12, 10], 0),
}
TENSORS = {
    "transpose(x, axes=[0, 2, 3, 1])": [1, 12, 10, 4],
    "reshapeStatic(x, targetShape=[2, -1, 5])": [2, 48, 5],
    "reshapeStatic(x, targetShape=[7, -1])": None,
    "rankPreservingReshape(x, targetShape=[0, 8, -1, 0])": [1, 8, 6, 10],
    "squeeze(x, axes=[0])": [4, 12, 10],
    "squeeze(x, squeezeAll=True)": [4, 12, 10],
    "expandDims(c, axes=[0, -1])": [1, 4, 1, 1, 1],
    "flattenTo2D(x, axis=2)": [4, 120],
    "stack(c, c, axis=1)": [4, 2, 1, 1],
    "concatND(x, x, axis=-2)": [1, 4, 24, 10],
    "splitND(x, axis=2, splitSizes=[5, 7])": [1, 4, 5, 10],
    "splitND(x, axis=1, numSplits=2)": [1, 2, 12, 10],
    "tile(x, reps=[1, 2, 1, 3])": [1, 8, 12, 30],
    "gather(x, i, axis=2)": [1, 4, 5, 10],
    "gatherND(x, i)": None,  # five indices of rank 4
    "sliceStatic(x, beginIds=[0, 1, 9, 0], endIds=[1, 3, 2, 0], strides=[1, 1, -2, 1], beginMasks=[False, False, "
    "False, True], endMasks=[False, False, False, True], squeezeMasks=[True, False, False, False])": [2, 4, 10],
    "slidingWindows(x, axis=2, windowSize=4, step=2)": [1, 4, 5, 4, 10],
    "topK(x, axis=3, K=3)": [1, 4, 12, 3],
    "argMax(x, axis=1, removeDim=True)": [1, 12, 10],
    "argMin(x, axis=1)": [1, 1, 12, 10],
    "reduceMean(x, axes=[2, 3], keepDims=True)": [1, 4, 1, 1],
    "reduceMean(x, axes=[2, 3])": [1, 4],
    "reduceMax(x, reduceAll=True)": [1],
    "constantPad(x, padAmounts=[0, 0, 1, 2, 0, 0, 3, 0])": [1, 7, 12, 13],
    "constantPad(x, padAmounts=[0, 0, 9, 0, 0, 0, 0, 3], padToGivenOutputSizeMode=True)": [1, 9, 12, 10],
    "oneHot(c, oneHotVectorSize=9, axis=-1)": [4, 1, 1, 9],
    "broadcastToStatic(c, targetShape=[4, 6, 5])": [4, 6, 5],
    "broadcastToLike(c, x)": [1, 4, 12, 10],
    "fillStatic(targetShape=[3, 2])": [3, 2],
    "rangeStatic(startValue=1, endValue=10, stepSizeValue=4)": [3],
    "getShape(x)": [4],
    "whereNonZero(x)": [None, 4],
    "subtractBroadcastable(x, c)": [1, 4, 12, 10],
    "loadConstant(shape=[4, 1, 1], data=4)": [1, 1, 4, 1, 1],
    "loadConstantND(shape=[4, 7], data=28)": [4, 7],
    "layerNormalization(x, normalizedShape=[10], gamma=10, beta=10)": [1, 4, 12, 10],
    "sliceBySize(x, i, axis=2, size=6)": [1, 4, 6, 10],
    "transpose(x, axes=[0, 1])": None,
}


def made(call: str, inputs: str) -> tuple[list[int | None] | None, int | None]:
    """The shape of a layer's first result, and its multiply-accumulates."""
    model = read_network_notation(f"{inputs}\ny = {call}\nreturn y")
    assert model.network is not None
    (node,) = NetworkGraph(model, model.network).nodes
    shape = node.outputs[0]
    return (None if shape is None else list(shape)), node.macs


INPUTS = "x: array[1, 4, 12, 10]\nc: array[4, 1, 1]\ni: array[5]"


@pytest.mark.parametrize("call", PLANES)
def test_a_layer_of_planes_makes_what_the_format_says(call: str) -> None:
    assert made(call, INPUTS) == PLANES[call]


@pytest.mark.parametrize("call", TENSORS)
def test_a_layer_of_any_rank_makes_what_the_format_says(call: str) -> None:
    assert made(call, INPUTS)[0] == TENSORS[call]


@pytest.mark.parametrize(
    ("call", "shape", "macs"),
    [
        ("innerProduct(r, inputChannels=6, outputChannels=3)", [7, 5, 3], 7 * 5 * 6 * 3),
        ("batchedMatmul(r, weightMatrixFirstDimension=6, weightMatrixSecondDimension=2)", [7, 5, 2], 7 * 5 * 6 * 2),
        ("batchedMatmul(r, s)", [7, 5, 4], 7 * 5 * 6 * 4),
        ("batchedMatmul(r, t, transposeA=True)", [7, 6, 4], 7 * 6 * 5 * 4),
        ("batchedMatmul(r, t)", None, None),
        ("embeddingND(o, vocabSize=100, embeddingSize=3)", [9, 3], 0),
        ("permute(v, axis=[3, 1, 2, 0])", [2, 3, 4, 5, 6], 0),
        ("permute(v, axis=[0, 3, 1, 2])", [6, 3, 2, 4, 5], 0),
        ("reshape(v, targetShape=[8, 5, 1])", [6, 3, 8, 5, 1], 0),
        ("sequenceRepeat(v, nRepetitions=4)", [24, 3, 4, 5, 2], 0),
        (
            (
                "convolution3d(v, outputChannels=2, inputChannels=3, kernelDepth=3, kernelHeight=3, kernelWidth=1, "
                'strideDepth=1, strideHeight=2, strideWidth=1, paddingType="VALID")'
            ),
            [6, 2, 2, 2, 2],
            6 * 2 * 2 * 2 * 2 * 9 * 3,
        ),
        (
            (
                "pooling3d(v, kernelDepth=2, kernelHeight=2, kernelWidth=2, strideDepth=2, strideHeight=2, "
                'strideWidth=1, paddingType="CUSTOM", customPaddingTop=1)'
            ),
            [6, 3, 2, 3, 1],
            0,
        ),
    ],
)
def test_other_ranks_make_what_the_format_says(call: str, shape: list[int] | None, macs: int | None) -> None:
    inputs = "r: array[7, 5, 6]\ns: array[6, 4]\nt: array[7, 5, 4]\no: array[9, 1]\nv: array[6, 3, 4, 5, 2]"
    assert made(call, inputs) == (shape, macs)


@pytest.mark.parametrize(
    ("kind", "params", "widths", "macs"),
    [
        ("simpleRecurrent", "sequenceOutput=True", [[1, 1, 5, 1, 1], [1, 1, 5, 1, 1]], 5 * (8 + 5)),
        ("gru", "", [[1, 1, 5, 1, 1], [1, 1, 5, 1, 1]], 3 * 5 * (8 + 5)),
        ("uniDirectionalLSTM", 'params={"sequenceOutput": True}', [[1, 1, 5, 1, 1]] * 3, 4 * 5 * (8 + 5)),
        ("biDirectionalLSTM", "params={}", [[1, 1, 10, 1, 1], *[[1, 1, 5, 1, 1]] * 4], 8 * 5 * (8 + 5)),
    ],
)
def test_a_recurrent_layer_counts_its_gates(kind: str, params: str, widths: list[list[int]], macs: int) -> None:
    results = ", ".join("abcde"[: len(widths)])
    text = f"version = 3\nx: array[8]\n{results} = {kind}(x, inputVectorSize=8, outputVectorSize=5, {params})\nreturn a"
    model = read_network_notation(text)
    assert model.network is not None
    (node,) = NetworkGraph(model, model.network).nodes
    assert ([list(shape or ()) for shape in node.outputs], node.macs) == (widths, macs)


def test_every_layer_of_the_format_but_custom_has_a_rule() -> None:
    known = {field.name for field in network_messages().NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields}
    assert known - set(RULES) - set(CONTROL) == {"custom"}


def test_nothing_is_guessed_behind_a_custom_layer() -> None:
    model = read_network_notation("""
x: array[1, 3, 8, 8]
a = custom(x, className="Mine", weights=[{"floatValue": [0, 0]}])
b = convolution(a, outputChannels=8, kernelChannels=3, same={}, weights=216)
c = loadConstantND(shape=[2], data=2)
return b, c
""")
    assert model.network is not None
    graph = NetworkGraph(model, model.network)
    assert [(node.outputs[0], node.macs) for node in graph.nodes] == [(None, None), (None, None), ((2,), 0)]
    assert [node.layer.parameters for node in graph.nodes] == [2, 216, 2]


def test_the_shape_that_a_file_declares_is_taken_where_no_rule_gives_one() -> None:
    model = read_network_notation("x: array[1, 3, 8, 8]\ny = custom(x)\nreturn y")
    assert model.network is not None
    (layer,) = model.network.layers
    network = replace(model.network, layers=(replace(layer, declared=((1, 6, 8, 8),)),))
    assert NetworkGraph(model, network).shapes["y"] == (1, 6, 8, 8)


def graph_of(text: str) -> NetworkGraph:
    model = read_network_notation(text)
    assert model.network is not None
    return NetworkGraph(model, model.network)


def numbers(*values: float) -> str:
    return f'shape=[{len(values)}], data={{"floatValue": {list(values)}}}'


def test_shapes_that_the_network_computes_are_followed() -> None:
    graph = graph_of(f"""
x: array[2, 6, 4, 5]
s = getShape(x)
i = loadConstantND({numbers(1)})
c = gather(s, i, axis=0)
half = loadConstantND({numbers(0.5)})
h = multiply(c, half)
rest = loadConstantND({numbers(-1)})
t = concatND(h, rest, axis=0)
y = reshapeDynamic(x, t)
r = loadConstantND({numbers(1, 2, 1, 3)})
z = tile(x, r)
b = loadConstantND({numbers(0, 1, 2, 0)})
e = loadConstantND({numbers(2, 3, 4, 5)})
w = sliceDynamic(x, b, e, strides=[1, 1, 1, 2], squeezeMasks=[False, False, True, False])
return y, z, w
""")
    assert [graph.shapes[name] for name in "yzw"] == [(3, 80), (2, 12, 4, 15), (2, 2, 3)]


def test_a_number_that_is_not_known_leaves_the_others_known() -> None:
    graph = graph_of(f"""
x: array[2, 6]
n: array[1]
k = loadConstantND({numbers(3)})
t = concatND(n, k, axis=0)
y = fillDynamic(t, value=1)
z = reshapeDynamic(x, t)
return y, z
""")
    assert [graph.shapes[name] for name in "yz"] == [(None, 3), (None, 3)]


def branching(taken: float | None) -> Extents | None:
    """The shape of a value that one side of a branch makes anew, behind that branch."""
    model = model_class()(specificationVersion=4)
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    for name, shape in (("x", [2, 6]), ("asked", [1])):
        model.description.input.add(name=name).type.multiArrayType.shape.extend(shape)
    network.layers.add(name="a", input=["x"], output=["y"]).copy.SetInParent()
    if taken is not None:
        constant = network.layers.add(name="c", output=["asked"]).loadConstantND
        constant.shape.append(1)
        constant.data.floatValue.append(taken)
    branch = network.layers.add(name="b", input=["asked"]).branch
    wide = branch.ifBranch.layers.add(name="d", input=["x", "x"], output=["y"]).concatND
    wide.axis = 1
    return read_graph(model).shapes["y"]


def read_graph(model: Any) -> NetworkGraph:
    content, thin = model.SerializeToString(), model_class()()
    thin.ParseFromString(thinned(lambda place, size: content[place : place + size], len(content), model.DESCRIPTOR))
    found = foreign_model(Path("made.mlmodel"), thin, Weights(Path(), Path()), "mlmodel")
    assert found.network is not None
    return NetworkGraph(found, found.network)


@pytest.mark.parametrize(("taken", "shape"), [(1.0, (2, 12)), (0.0, (2, 6)), (None, (2, None))])
def test_behind_a_branch_holds_what_the_side_that_is_taken_makes(
    taken: float | None, shape: tuple[int | None, ...]
) -> None:
    assert branching(taken) == shape


def test_a_list_that_grows_in_a_loop_has_no_known_length_behind_it() -> None:
    model = model_class()(specificationVersion=4)
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    model.description.input.add(name="x").type.multiArrayType.shape.extend([1, 6])
    network.layers.add(name="a", input=["x"], output=["list"]).copy.SetInParent()
    body = network.layers.add(name="l").loop.bodyNetwork
    body.layers.add(name="b", input=["list", "x"], output=["list"]).concatND.axis = 0
    network.layers.add(name="c", input=["list"], output=["y"]).copy.SetInParent()
    assert read_graph(model).shapes["y"] == (None, 6)


def test_a_size_that_is_known_only_at_run_time_stays_open() -> None:
    model = read_network_notation("""
x: array[1, 3, 8, 8]
n: array[2]
a = whereNonZero(x)
b = innerProduct(a, inputChannels=4, outputChannels=5, weights=20)
c = fillDynamic(n, value=1)
return b, c
""")
    assert model.network is not None
    graph = NetworkGraph(model, model.network)
    assert [graph.shapes[name] for name in "abc"] == [(None, 4), (None, 5), (None, None)]
    assert graph.made_by["b"].macs is None


@pytest.mark.parametrize(
    "text",
    [
        "x: array[2, -1]\ny = activation(x, ReLU={})\nreturn y",
        "x: array[2147483648, 2147483648, 2147483648, 0]\ny = activation(x, ReLU={})\nreturn y",
        "x: array[2]\ny = greaterThan(x)\nz = minBroadcastable(y)\nreturn z",
        'x: array[2]\ny = rangeStatic(endValue="Infinity", stepSizeValue=1)\nreturn y',
        'x: array[1, 3, 4, 4]\ny = upsample(x, fractionalScalingFactor=["NaN", "Infinity"])\nreturn y',
    ],
)
def test_numbers_that_no_tensor_has_stay_open(text: str) -> None:
    model = read_network_notation(text)
    assert model.network is not None
    *_, last = NetworkGraph(model, model.network).nodes
    assert all(shape is None or all(extent is None or extent >= 0 for extent in shape) for shape in last.outputs)
