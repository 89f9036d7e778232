"""What the model description tells of a function's inputs: shapes from a list, shapes within ranges."""

from __future__ import annotations

from mctc.linter.coreml.graph import FunctionGraph, as_tensor
from mctc.package import Feature


def features(function: FunctionGraph) -> tuple[Feature, ...]:
    """The inputs as the description tells them; empty where it does not name the function."""
    described = function.package.package.descriptions.get(function.name)
    return described.inputs if described is not None else ()


def enumerated(function: FunctionGraph) -> list[Feature]:
    """The inputs that take one of several listed shapes."""
    return [feature for feature in features(function) if len(set(feature.enumerated)) > 1]


def ranged(function: FunctionGraph) -> dict[str, str]:
    """The inputs whose extents are not fixed and come from no list, each with what is known of them."""
    described = {feature.name: feature for feature in features(function)}
    found = {}
    for item in function.inputs:
        feature = described.get(item.name)
        if feature is not None and feature.enumerated:
            continue
        spans = _spans(feature) if feature is not None else []
        tensor = as_tensor(item.type)
        if tensor is not None and not (feature is not None and (feature.ranges or feature.kind == "image")):
            shape = tensor.shape
            spans = ["rank ?"] if shape is None else [f"axis {n} ?" for n, extent in enumerate(shape) if extent is None]
        if spans:
            found[item.name] = ", ".join(spans)
    return found


def _spans(feature: Feature) -> list[str]:
    return [
        f"axis {axis} {least}..{'' if most is None else most}"
        for axis, (least, most) in enumerate(feature.ranges)
        if least != most
    ]
