"""What a program is fed: zeros, and noise of the declared types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.package import Feature, Function, NamedType, Package, TensorType

Arrays = dict[str, NDArray[np.generic]]
KINDS = ("zeros", "noise")
SEED = 20_261_129
PIXELS = 256
"""Images come as pixels, 0 to 255; their scale is in the program."""


def feeds(package: Package, function: Function) -> dict[str, Arrays]:
    """Inputs by kind of feed. Raises ValueError for an input that has no shape even in the description."""
    shapes = {item.name: _shape(package, function, item) for item in function.inputs}
    return {kind: _feed(kind, package, function, shapes) for kind in KINDS}


def _feed(kind: str, package: Package, function: Function, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    rng = np.random.default_rng(SEED)
    images = {each.name for each in _described(package, function) if each.kind == "image"}
    made = {}
    for item in function.inputs:
        assert isinstance(item.type, TensorType)
        shape, whole = shapes[item.name], not item.type.dtype.startswith("fp")
        values: NDArray[Any]
        if kind == "zeros":
            values = np.zeros(shape)
        elif item.name in images:
            values = rng.integers(0, PIXELS, shape)
        else:
            values = rng.integers(0, 2, shape) if whole else rng.standard_normal(shape)
        made[item.name] = values.astype(np.int32 if whole else np.float16 if item.type.dtype == "fp16" else np.float32)
    return made


def _described(package: Package, function: Function) -> tuple[Feature, ...]:
    described = package.descriptions.get(function.name)
    return described.inputs if described is not None else ()


def _shape(package: Package, function: Function, item: NamedType) -> tuple[int, ...]:
    """The declared shape; where the program leaves extents open, those of the description's default."""
    declared = item.type.shape if isinstance(item.type, TensorType) else None
    described = next((each for each in _described(package, function) if each.name == item.name), None)
    default = described.type.shape if described is not None and described.type is not None else None
    if declared is None or None in declared:
        if default is None or (declared is not None and len(default) != len(declared)):
            raise ValueError(f"input {item} has no definite shape")
        declared = tuple(n if n is not None else m for n, m in zip(declared or default, default, strict=True))
    return tuple(n for n in declared if n is not None)
