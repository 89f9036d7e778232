"""The proof of a repair: every function evaluated before and after on the same inputs, equal bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.package import Feature, NamedType, Package, TensorType
from mctc.package.dtypes import DTYPES

ROUNDS = 2


class FixError(MctcError):
    """A repair that can't be proven, or that is not exact: the package stays as it is."""


def prove(before: Package, after: Package) -> int:
    """Evaluates both in fp16 on ROUNDS random inputs and states. Returns how many values were compared.

    Raises FixError where a result differs, or where a function can't be evaluated.
    """
    from mctc.evaluate.coreml import Evaluator

    one, other = Evaluator(before, "fp16", keep_weights=False), Evaluator(after, "fp16", keep_weights=False)
    compared = 0
    for name in one.functions:
        for seed in range(ROUNDS):
            try:
                wanted, found = _run(one, name, seed), _run(other, name, seed)
            except MctcError as error:
                raise FixError(
                    f"{before.path}: the repairs of {name} can't be proven, so nothing was changed: {error}",
                    hint="leave --fix out; the findings say what to change in the model's source",
                ) from error
            for key, value in wanted.items():
                if not np.array_equal(value, found[key], equal_nan=value.dtype.kind == "f"):
                    raise FixError(f"{before.path}: a repair changes {key} of {name}, so nothing was changed")
                compared += value.size
    return compared


def _run(evaluator: Any, name: str, seed: int) -> dict[str, Any]:
    function = evaluator.function(name)
    rng = np.random.default_rng(seed)
    described = evaluator.package.descriptions.get(name)
    features = {each.name: each for each in described.inputs} if described is not None else {}
    inputs = {item.name: _array(item, features.get(item.name), rng) for item in function.inputs}
    if not function.states:
        return {key: np.asarray(value) for key, value in function(inputs).items()}
    state = function.make_state()
    for item in function.states:
        state[item.name] = rng.standard_normal(item.type.wrapped.shape).astype(np.float16)
    results = {key: np.asarray(value) for key, value in function(inputs, state).items()}
    return results | {f"state {item.name}": np.asarray(state[item.name]) for item in function.states}


def _array(item: NamedType, feature: Feature | None, rng: np.random.Generator) -> Any:
    """Noise of the input's type; where the program leaves an extent open, of the shape that the description has."""
    if not isinstance(item.type, TensorType) or item.type.shape is None or item.type.dtype not in DTYPES:
        raise FixError(f"the input {item} has no definite type")
    usual = feature.type.shape if feature is not None and feature.type is not None and feature.type.shape else ()
    shape: list[int] = [
        extent if extent is not None else (usual[place] if place < len(usual) else None) or 1
        for place, extent in enumerate(item.type.shape)
    ]
    holder = DTYPES[item.type.dtype].holder
    if holder.kind == "f":
        return rng.standard_normal(shape).astype(np.float16)
    return rng.integers(0, 2, shape).astype(holder)
