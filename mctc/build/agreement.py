"""How far an artifact that was read back is from the program that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mctc.build.options import BuildError
from mctc.build.target import Agreement
from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array
from mctc.ir.types import DType, TensorType
from mctc.rewrite.validate import relative_error

SEED = 1


def agreement(
    artifact: Path,
    function: str,
    result: str,
    expected: Array,
    actual: Array,
    tolerance: float,
    raises: type[MctcError] = BuildError,
) -> Agreement:
    """The error of one result, of its largest magnitude. Raises `raises` when it is above `tolerance`.

    Random inputs are not what a model will see: masks are no ones and zeros, and the root of a masked number may be
    none. An entry that is no number on both sides agrees.
    """
    actual = np.asarray(actual, np.float64)
    if expected.shape == actual.shape:
        neither = np.isnan(expected) & np.isnan(actual)
        expected, actual = np.where(neither, 0.0, expected), np.where(neither, 0.0, actual)
    error = relative_error(expected, actual)
    if not error <= tolerance:
        raise raises(
            f"{artifact}: {result} of {function} differs from the program by {error:.3g} of its largest value "
            f"(at most {tolerance:g} is allowed)",
            hint="this is a fault of mctc: please report it with the spec and the command",
        )
    return Agreement(function, result, error)


def random_arrays(types: Mapping[str, TensorType]) -> dict[str, Array]:
    """fp16-exact normal noise; whole numbers below the bound where there is one."""
    rng = np.random.default_rng(SEED)
    arrays: dict[str, Array] = {}
    for name, type_ in types.items():
        if type_.bound is not None or type_.dtype is DType.I32:
            high = type_.bound.value if type_.bound is not None and type_.bound.is_static else 8
            arrays[name] = rng.integers(0, high, type_.shape)
        else:
            arrays[name] = rng.normal(size=type_.shape).astype(np.float16).astype(np.float64)
    return arrays
