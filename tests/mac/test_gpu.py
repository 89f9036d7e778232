"""On a Mac: the kernels compute on its GPU what their definitions say in fp64."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("apple_gpu")


@pytest.mark.parametrize("name", ["one state", "three states, several tiles, ragged", "two groups", "fp16", "bf16"])
def test_the_scan_and_its_gradients_are_those_of_the_definition(name: str) -> None:
    from tests.mac.gpu import scan_error
    from tests.metal.scan import CASES

    assert scan_error(CASES[name], "mps") < CASES[name].tolerance


def test_the_loss_and_its_gradient_are_those_of_the_definition() -> None:
    from tests.mac.gpu import loss_error

    assert loss_error("mps") < 1e-4
