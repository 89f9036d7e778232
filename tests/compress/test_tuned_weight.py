"""Weights that follow a gradient: what they give stays what their form can hold."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.compress.round import Known, Rounded, again, rounded
from mctc.compress.tuned_weight import tunable
from mctc.ir.op import Array
from mctc.ir.program import Quantization

random = np.random.default_rng(7)
WEIGHT = random.normal(0, 0.1, (32, 24)).astype(np.float32)
FORMS = [Quantization("int4", 4), *(Quantization("palette", bits, group) for bits in (2, 4) for group in (None, 8))]


def at_start(how: Quantization) -> Array:
    return rounded(WEIGHT, how, Known(None, None)).values


@pytest.mark.parametrize("how", FORMS, ids=str)
def test_it_begins_with_the_very_numbers_that_were_rounded(how: Quantization) -> None:
    tuned = tunable(at_start(how), how)
    assert tuned is not None
    np.testing.assert_array_equal(tuned.values(), at_start(how))


@pytest.mark.parametrize("how", FORMS, ids=str)
def test_steps_against_a_gradient_go_toward_what_it_wants_and_stay_in_the_form(how: Quantization) -> None:
    wanted = 1.3 * WEIGHT + 0.02  # not what the numbers were chosen for
    start, tuned = at_start(how), tunable(at_start(how), how)
    assert tuned is not None
    for _ in range(150):
        tuned.move(tuned.values() - wanted, 1.0)
    values = tuned.values()
    assert np.square(values - wanted).sum() < 0.95 * np.square(start - wanted).sum()
    assert again(Rounded(values, "", 0.0), how)


def test_what_has_many_bits_or_its_channels_elsewhere_is_not_tuned() -> None:
    for how in (Quantization("int8", 8), Quantization("palette", 6), Quantization("int4", 4, axis=1)):
        assert tunable(WEIGHT, how) is None
