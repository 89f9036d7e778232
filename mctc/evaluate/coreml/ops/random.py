"""Random numbers: of the distribution that the op names, but not the numbers that Core ML draws."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import ResultRule, op
from mctc.evaluate.coreml.ops.arguments import integer, integers, number
from mctc.evaluate.coreml.precision import Array

_NOTE = "the distribution, not Core ML's own numbers; a seed of 0 or more repeats them"


def _generator(seed: Any) -> np.random.Generator:
    given = integer(seed)
    return np.random.default_rng(given if given >= 0 else None)


def _type_of(*operands: str) -> ResultRule:
    def rule(dtypes: Mapping[str, str], _constants: Mapping[str, Any]) -> tuple[str, ...]:
        return (next((dtypes[name] for name in operands if name in dtypes), "fp32"),)

    return rule


@op("random_bernoulli", result=_type_of("prob"), note=_NOTE)
def random_bernoulli(shape: Any, prob: Any = 0.5, seed: Any = -1) -> Array:
    """1 with the given probability, else 0."""
    return (_generator(seed).random(integers(shape)) < number(prob)).astype(np.float32)


@op("random_normal", result=_type_of("mean", "stddev"), same=("mean", "stddev"), note=_NOTE)
def random_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, seed: Any = -1) -> Array:
    """Normally distributed."""
    return number(mean) + number(stddev) * _generator(seed).standard_normal(integers(shape), np.float32)


@op("random_uniform", result=_type_of("low", "high"), same=("low", "high"), note=_NOTE)
def random_uniform(shape: Any, low: Any = 0.0, high: Any = 1.0, seed: Any = -1) -> Array:
    """Uniformly from low to below high."""
    share = _generator(seed).random(integers(shape), np.float32)
    return number(low) + (number(high) - number(low)) * share


@op("random_categorical", note=_NOTE)
def random_categorical(x: Array, mode: str = "logits", size: Any = 1, seed: Any = -1) -> Array:
    """Places along the last axis, drawn by their probabilities (or the logits of these), with replacement."""
    if mode not in ("logits", "probs"):
        raise ValueError(f"there is no mode '{mode}'")
    wide = x.astype(np.float64)
    weights = wide if mode == "probs" else np.exp(wide - wide.max(-1, keepdims=True))
    bounds = np.cumsum(weights, -1)
    drawn = _generator(seed).random((*x.shape[:-1], integer(size))) * bounds[..., -1:]
    return (drawn[..., None] >= bounds[..., None, :]).sum(-1).astype(np.float32)
