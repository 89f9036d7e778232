"""Arrays move across a reshaped interface by the roles of their axes."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.adapt import adapt
from mctc.ir.text import parse_program
from mctc.ir.types import TensorType

ARRAY = np.arange(2 * 5 * 4).reshape(2, 5, 4)
PLAIN = "f32[batch 2, time 5, channel 4]"


def typed(text: str) -> TensorType:
    return parse_program(f"function @f(%x: {text}) {{}}").functions["f"].inputs[0].type


@pytest.mark.parametrize(
    ("new", "formula"),
    [
        (PLAIN, lambda a: a),
        ("f32[batch 2, channel 4, unit 1, time 5]", lambda a: a.transpose(0, 2, 1)[:, :, None]),
        ("f32[time 5, batch 2, channel 4]", lambda a: a.swapaxes(0, 1)),
        ("f32[batch 2, time 5, vocabulary 4]", lambda a: a),
        ("f32[batch 2, time 5, channel 3]", lambda a: a[..., :3]),
        ("f32[batch 2, time 5, channel 6]", lambda a: np.pad(a, ((0, 0), (0, 0), (0, 2)), constant_values=-1)),
    ],
)
def test_axes_move_by_role(new: str, formula: object) -> None:
    got = adapt(ARRAY, typed(PLAIN), typed(new), fill=-1)
    np.testing.assert_array_equal(got, formula(ARRAY))  # type: ignore[operator]


def test_there_and_back_is_the_same() -> None:
    plain, laid_out = typed(PLAIN), typed("f32[batch 2, channel 4, unit 1, time 5]")
    np.testing.assert_array_equal(adapt(adapt(ARRAY, plain, laid_out), laid_out, plain), ARRAY)


def test_plain_axes_stay_where_they_are() -> None:
    np.testing.assert_array_equal(adapt(ARRAY, typed("f32[2, 5, 4]"), typed("f32[2, 5, 4]")), ARRAY)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PLAIN, "f32[batch 2, label 5, channel 4]"),
        (PLAIN, "f32[batch 2, channel 4]"),
        ("f32[2, 5, channel 4]", "f32[channel 4, 2, 5]"),
    ],
)
def test_roles_that_do_not_correspond_are_an_error(old: str, new: str) -> None:
    with pytest.raises(ValueError, match="does not correspond to"):
        adapt(ARRAY, typed(old), typed(new))
