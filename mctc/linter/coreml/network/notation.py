"""Small neural networks as text, for the examples of rules and for tests. The text has Python's syntax:

    version = 3                                     of the specification; 4 if left out (up to 3 shapes have rank 5)
    x: array[1, 3, 64, 64]                          an input; `1:512` is a range of an extent
    i: image[3, 64, 64:512]                         an image: 3 channels or 1, height, width
    y = convolution(x, outputChannels=8, kernelChannels=3, kernelSize=[3, 3], same={}, weights=216)
    a, b = split(y, nOutputs=2)                     several results
    return a, b

A layer is called as in NeuralNetwork.proto, and takes the fields of its message: numbers, lists, texts (of an
enumeration too), dictionaries for messages. Where the message wants weights, a number says how many (zeros in fp32).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from mctc.package.model import ForeignModel
from mctc.package.protobuf import model_class
from mctc.package.specification import foreign_model
from mctc.package.thinned import thinned
from mctc.package.weights import Weights

INPUTS = ("array", "image")
MAPPED_EXACTLY = 4
"""The version of the specification from which inputs keep the shape that they are described with."""


def is_network(text: str) -> bool:
    """Whether a text is in this notation: it has inputs of its kinds."""
    return any(isinstance(each, ast.AnnAssign) and _kind(each.annotation) for each in ast.parse(text).body)


def read_network_notation(text: str, path: str = "example.mlmodel") -> ForeignModel:
    """The model that the text describes. Raises ValueError, or SyntaxError for what is not Python."""
    model = model_class()(specificationVersion=MAPPED_EXACTLY)
    network = model.neuralNetwork
    network.SetInParent()
    for statement in ast.parse(text).body:
        _add(statement, model)
    if model.specificationVersion >= MAPPED_EXACTLY:
        network.arrayInputShapeMapping = network.imageInputShapeMapping = 1
    content, thin = model.SerializeToString(), model_class()()
    thin.ParseFromString(thinned(lambda place, size: content[place : place + size], len(content), model.DESCRIPTOR))
    return foreign_model(Path(path), thin, Weights(Path(path), Path(path)), "mlmodel")


def _add(statement: ast.stmt, model: Any) -> None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        _add_input(statement.target.id, statement.annotation, model)
    elif isinstance(statement, ast.Return) and statement.value is not None:
        for name in _names(statement.value):
            model.description.output.add(name=name).type.multiArrayType.SetInParent()
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
        _add_layer(_names(statement.targets[0]), statement.value, model.neuralNetwork.layers.add())
    elif isinstance(statement, ast.Assign):
        model.specificationVersion = ast.literal_eval(statement.value)
    else:
        raise ValueError(f"not understood: {ast.unparse(statement)}")


def _names(node: ast.expr) -> list[str]:
    return [each.id for each in (node.elts if isinstance(node, ast.Tuple) else [node]) if isinstance(each, ast.Name)]


def _kind(annotation: ast.expr) -> str:
    """'array' or 'image'; '' for anything else."""
    named = annotation.value if isinstance(annotation, ast.Subscript) else None
    return named.id if isinstance(named, ast.Name) and named.id in INPUTS else ""


def _add_input(name: str, annotation: ast.expr, model: Any) -> None:
    if not isinstance(annotation, ast.Subscript) or not _kind(annotation):
        raise ValueError(f"no input: {ast.unparse(annotation)}")
    inside = annotation.slice
    ranges = [_bounds(each) for each in (inside.elts if isinstance(inside, ast.Tuple) else [inside])]
    type_ = model.description.input.add(name=name).type
    if _kind(annotation) == "image":
        channels, height, width = (least for least, _ in ranges)
        color = type_.imageType.ColorSpace.Value("GRAYSCALE" if channels == 1 else "RGB")
        type_.imageType.MergeFrom(type(type_.imageType)(height=height, width=width, colorSpace=color))
        if ranges[1][0] != ranges[1][1] or ranges[2][0] != ranges[2][1]:
            sides = type_.imageType.imageSizeRange
            for side, (least, most) in zip((sides.heightRange, sides.widthRange), ranges[1:]):
                side.lowerBound, side.upperBound = least, most
        return
    array = type_.multiArrayType
    array.dataType = array.FLOAT32
    array.shape.extend(least for least, _ in ranges)
    if any(least != most for least, most in ranges):
        for least, most in ranges:
            array.shapeRange.sizeRanges.add(lowerBound=least, upperBound=most)


def _bounds(extent: ast.expr) -> tuple[int, int]:
    if isinstance(extent, ast.Slice) and extent.lower is not None and extent.upper is not None:
        return ast.literal_eval(extent.lower), ast.literal_eval(extent.upper)
    return ast.literal_eval(extent), ast.literal_eval(extent)


def _add_layer(results: list[str], call: ast.Call, layer: Any) -> None:
    from google.protobuf.json_format import ParseDict

    assert isinstance(call.func, ast.Name)
    layer.name = results[0]
    layer.input.extend(each.id for each in call.args if isinstance(each, ast.Name))
    layer.output.extend(results)
    settings = getattr(layer, call.func.id)
    settings.SetInParent()
    given = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg is not None}
    ParseDict(_with_numbers(given, settings.DESCRIPTOR), settings)


def _with_numbers(given: dict[str, Any], descriptor: Any) -> dict[str, Any]:
    """The fields with zeros where weights are wanted and a number says how many."""
    made = {}
    for name, value in given.items():
        field = descriptor.fields_by_name[name]
        if field.message_type is None:
            made[name] = value
        elif field.message_type.name == "WeightParams" and isinstance(value, int):
            made[name] = {"floatValue": [0.0] * value}
        elif isinstance(value, dict) and field.message_type.name != "WeightParams":
            made[name] = _with_numbers(value, field.message_type)
        else:
            made[name] = value
    return made
