"""What known miscompiles do to a package: not only the pattern that a rule finds, but whether results change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mctc.diagnostics.errors import MctcError
from mctc.package import Function, Package, TensorType

if TYPE_CHECKING:
    from mctc.evaluate.faults.compare import Effect

SCALES = (1.0, 16.0, 256.0, 4096.0)
"""Standard deviations of the noise that is fed, the least first."""
CALLS = 2
SEED = 5


def effect_lines(package: Package) -> Iterator[str]:
    """For each function and each fault that acts on it, from which noise on its results change, and by how much."""
    from mctc.evaluate.faults.table import FAULTS, touches

    for name, function in package.functions.items():
        acting = [fault for fault in FAULTS.values() if touches(fault, function)]
        for fault in acting:
            yield f"{name}, {fault.name} ({fault.where}): {_told(package, name, fault.name)}"
        if not acting:
            yield f"{name}: no known miscompile acts on it"


def _told(package: Package, function: str, fault: str) -> str:
    for scale in SCALES:
        try:
            effect = _over_noise(package, function, fault, scale)
        except MctcError as error:
            return f"can't be run on noise: {error}"
        if effect is not None and effect.changed:
            size = "to or from infinity" if effect.largest == float("inf") else f"by up to {effect.largest:.2g}"
            return f"results change on noise of {scale:g}, {size} of {effect.at}'s largest"
    return f"results stay as they are on noise of up to {SCALES[-1]:g}"


def _over_noise(package: Package, function: str, fault: str, scale: float) -> Effect | None:
    """What a fault does over two calls with noise of a standard deviation."""
    from mctc.evaluate.coreml import Evaluator
    from mctc.evaluate.faults.compare import comparing
    from mctc.evaluate.faults.table import FAULTS

    with comparing([FAULTS[fault]]) as comparison:
        compiled = Evaluator(package, "fp16").function(function)
    state = compiled.make_state() if compiled.states else None
    for call in range(CALLS):
        compiled(noise(package.functions[function], scale, SEED + call), state)
    return comparison.effects[0] if comparison.effects else None


def noise(function: Function, scale: float, seed: int) -> Mapping[str, Any]:
    """An array for every input; whole numbers are 0 or 1. Raises MctcError for an input of no definite shape."""
    import numpy as np

    from mctc.package.dtypes import DTYPES

    draw = np.random.default_rng(seed)
    arrays = {}
    for item in function.inputs:
        type_ = item.type
        if not isinstance(type_, TensorType) or type_.shape is None or None in type_.shape:
            raise MctcError(f"input {item} has no definite shape")
        shape = [extent or 0 for extent in type_.shape]
        holder = DTYPES[type_.dtype].holder
        drawn = draw.standard_normal(shape) * scale if holder.kind == "f" else draw.integers(0, 2, shape)
        arrays[item.name] = np.clip(drawn, -65504, 65504).astype(holder)
    return arrays
