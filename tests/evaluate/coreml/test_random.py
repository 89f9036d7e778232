"""Random ops draw from the distribution that they name; a seed repeats, and nothing is drawn while compiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.package import Constant, TensorType

COUNT = 20_000
Draw = Callable[..., np.ndarray]


@pytest.fixture
def draw(sketch: Any, const: Callable[..., Constant]) -> Draw:
    """`draw(op, shape=..., **operands)` runs a random op once per call, and returns `calls` results stacked."""

    def run(op: str, result: tuple[int, ...], calls: int = 1, **operands: Any) -> np.ndarray:
        bound = {key: const(value) for key, value in operands.items()}
        sketch.op(op, {"y": TensorType("fp32", result)}, **bound)
        function = Evaluator(sketch.package(["y"]), "fp32").function()
        return np.stack([function({})["y"] for _ in range(calls)])

    return run


def test_normal_numbers_have_their_mean_and_deviation(draw: Draw) -> None:
    (drawn,) = draw("random_normal", (COUNT,), shape=[COUNT], mean=np.float32(3), stddev=np.float32(2), seed=5)
    quantiles = np.quantile(drawn, [0.1587, 0.5, 0.8413])
    np.testing.assert_allclose(quantiles, [1, 3, 5], atol=0.1)


def test_uniform_numbers_fill_their_interval_evenly(draw: Draw) -> None:
    (drawn,) = draw("random_uniform", (COUNT,), shape=[COUNT], low=np.float32(-1), high=np.float32(3), seed=5)
    assert -1 <= drawn.min() < drawn.max() < 3
    np.testing.assert_allclose(np.quantile(drawn, [0.25, 0.5, 0.75]), [0, 1, 2], atol=0.06)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_bernoulli_gives_one_as_often_as_told(draw: Draw, probability: float) -> None:
    (drawn,) = draw("random_bernoulli", (COUNT,), shape=[COUNT], prob=np.float32(probability), seed=5)
    assert set(np.unique(drawn)) <= {0, 1}
    np.testing.assert_allclose(drawn.mean(), probability, atol=0.02 if 0 < probability < 1 else 0)


@pytest.mark.parametrize("mode", ["probs", "logits"])
def test_categories_come_by_their_probabilities(draw: Draw, mode: str) -> None:
    wanted = np.array([[0.7, 0.0, 0.3], [0.1, 0.6, 0.3]], np.float32)
    given = wanted if mode == "probs" else np.log(np.maximum(wanted, 1e-30))
    (drawn,) = draw("random_categorical", (2, COUNT), x=given, size=COUNT, mode=mode, seed=5)
    for row, share in zip(drawn, wanted, strict=True):
        np.testing.assert_allclose(np.bincount(row.astype(int), minlength=3) / COUNT, share, atol=0.02)


@pytest.mark.parametrize(("seed", "repeats"), [(7, True), (-1, False)])
def test_a_seed_repeats_from_call_to_call_and_without_one_each_call_differs(
    draw: Draw, seed: int, repeats: bool
) -> None:
    first, second = draw("random_uniform", (64,), calls=2, shape=[64], seed=seed)
    assert np.array_equal(first, second) == repeats
