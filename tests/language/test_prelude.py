"""The prelude's blocks of everyday ops compute what they are named after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.streaming.derive import derive_program
from mctc.weights import Weights

from .conftest import Elaborate, component

X = np.random.default_rng(0).normal(size=(2, 6, 8))


def result(elaborate: Elaborate, expression: str) -> Array:
    made = elaborate(component(f"return {expression}"))
    weights = Weights(made.sources)
    return evaluate(made.functions["c"], {"x": X}, lambda key: weights.value(made.parameters[key]))[0]["output"]


def normalised(x: Array, *axes: int) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def grouped(x: Array, groups: int, *axes: int) -> Array:
    return normalised(x.reshape(*x.shape[:2], groups, -1), *axes).reshape(x.shape)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("elu(x)", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("elu(x, alpha = 0.5)", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        ("leaky_relu(x, 0.1)", lambda x: np.where(x > 0, x, 0.1 * x)),
        ("prelu(x)", lambda x: np.where(x > 0, x, 0.25 * x)),
        ("where(clip(1000000 * relu(x), 0, 1), x, x + 2)", lambda x: np.where(x > 0, x, x + 2)),
        ("group_norm(x, 4)", lambda x: grouped(x, 4, 1, 3)),
        ("group_norm(x, 2, over_time = false)", lambda x: grouped(x, 2, 3)),
        ("instance_norm(x)", lambda x: normalised(x, 1)),
        ("time_softmax(x)", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        ("cumulative_sum(x)", lambda x: np.cumsum(x, 1)),
    ],
)
def test_a_block_computes_what_it_is_named_after(
    expression: str, expected: Callable[[Array], Array], elaborate: Elaborate
) -> None:
    np.testing.assert_allclose(result(elaborate, expression), expected(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("streams", ["cumulative_sum(x)", "group_norm(x, 2, over_time = false)", "prelu(x)"])
def test_what_sees_no_later_frame_streams(streams: str, elaborate: Elaborate) -> None:
    info = derive_program(elaborate(component(f"return {streams}")), 2)[1]["c"]
    assert info.timings["output"].delay == 0


@pytest.mark.parametrize("whole", ["group_norm(x, 2)", "instance_norm(x)", "time_softmax(x)"])
def test_what_reduces_over_time_needs_the_whole_utterance(whole: str, elaborate: Elaborate) -> None:
    with pytest.raises(DiagnosticError, match="needs the whole utterance"):
        derive_program(elaborate(component(f"return {whole}")), 2)
