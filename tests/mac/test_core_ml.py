"""On a Mac: Core ML computes what the evaluator computes, whatever it runs on and however states are kept."""

from __future__ import annotations

import pytest

from mctc.numerics.limits import FP16
from tests.mac.conftest import Make
from tests.mac.core_ml import UNITS, differences

pytestmark = pytest.mark.usefixtures("apple_silicon")


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("layout", ["single", "separate"])
@pytest.mark.parametrize("state", ["packed", "separate", "io"])
def test_every_result_and_state_agrees_over_a_stream(built: Make, state: str, layout: str, units: str) -> None:
    assert FP16.decibels is not None
    found = {key: each.decibels for key, each in differences(built(state, layout), units).items()}
    assert {key: each for key, each in found.items() if each < FP16.decibels} == {}
