"""Elementwise operands meet by the roles of their axes; numbers follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import InferenceError
from mctc.ir.text import IrSyntaxError, parse_program

SIZES = {"B": 2, "T": 5, "U": 3}
RNG = np.random.default_rng(3)


def both(left: str, right: str) -> tuple[str, Any, Any, Any]:
    """The type of a - b, and the arrays a, b and a - b."""
    text = f"function @f(%a: {left}, %b: {right}) {{ %0 = sub(%a, %b) return y = %0 }}"
    function = parse_program(text).functions["f"]
    arrays = {v.name: RNG.normal(size=v.type.substitute(SIZES).shape) for v in function.inputs}
    results, _ = evaluate(function, arrays, lambda name: np.zeros(0))
    return str(function.results[0][1].type), arrays["a"], arrays["b"], results["y"]


@pytest.mark.parametrize(
    ("left", "right", "result", "formula"),
    [
        # the joiner of a transducer
        (
            "f32[batch B, time T, channel 4]",
            "f32[batch B, label U, channel 4]",
            "f32[batch B, time T, label U, channel 4]",
            lambda a, b: a[:, :, None] - b[:, None],
        ),
        # a per-channel and a per-frame tensor
        (
            "f32[batch B, time T, channel 4]",
            "f32[channel 4]",
            "f32[batch B, time T, channel 4]",
            lambda a, b: a - b,
        ),
        (
            "f32[batch B, time T, channel 4]",
            "f32[time T]",
            "f32[batch B, time T, channel 4]",
            lambda a, b: a - b[:, None],
        ),
        (
            "f32[time T]",
            "f32[batch B, time T, channel 4]",
            "f32[batch B, time T, channel 4]",
            lambda a, b: a[:, None] - b,
        ),
        # another order of the same axes
        (
            "f32[batch B, time T, channel 4]",
            "f32[batch B, channel 4, time T]",
            "f32[batch B, time T, channel 4]",
            lambda a, b: a - np.swapaxes(b, 1, 2),
        ),
        # an axis of 1
        (
            "f32[batch B, time T, channel 4]",
            "f32[batch B, time T, channel 1]",
            "f32[batch B, time T, channel 4]",
            lambda a, b: a - b,
        ),
        # plain axes meet by position
        ("f32[batch B, time T, channel 4]", "f32[4]", "f32[batch B, time T, channel 4]", lambda a, b: a - b),
        ("f32[4, 1]", "f32[3]", "f32[4, 3]", lambda a, b: a - b),
        ("f32[batch B, channel 4, unit 1, time T]", "f32[4, 1, 1]", None, lambda a, b: a - b),
        # laid out: unit axes take any role
        (
            "f32[batch B, channel 4, unit 1, time T]",
            "f32[batch B, channel 4, label U, unit 1]",
            "f32[batch B, channel 4, label U, time T]",
            lambda a, b: a - b,
        ),
        # of a laid-out type, several axes may be units
        ("f32[batch 1, unit 1, unit 1, time T]", "f32[time T]", None, lambda a, b: a - b),
        # a scalar
        ("f32[batch B, time T, channel 4]", "f32[]", "f32[batch B, time T, channel 4]", lambda a, b: a - b),
        ("f32[]", "f32[channel 4]", "f32[channel 4]", lambda a, b: a - b),
    ],
)
def test_axes_meet_by_role(left: str, right: str, result: str | None, formula: Any) -> None:
    type_, a, b, y = both(left, right)
    assert type_ == (left if result is None else result)
    np.testing.assert_array_equal(y, formula(a, b))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("f32[batch B, time T, channel 4]", "f32[batch B, time T, channel 5]"),
        ("f32[batch B, time T, channel 4]", "f32[batch B, time T/2, channel 4]"),
        ("f32[batch B, time T, channel 4]", "f32[5]"),
        ("f32[4]", "f32[3]"),
        ("f32[batch B, channel 4, unit 1, time T]", "f32[batch B, label U, channel 4]"),
        ("f32[feature 4, feature 4, channel 2]", "f32[channel 2]"),
    ],
)
def test_what_does_not_meet_is_refused(left: str, right: str) -> None:
    with pytest.raises(IrSyntaxError) as caught:
        both(left, right)
    assert isinstance(caught.value.__cause__, InferenceError)
