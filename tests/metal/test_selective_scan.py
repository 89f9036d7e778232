"""selective_scan.metal, launched as on a Mac and run by the engine, against the definition in fp64."""

from __future__ import annotations

import pytest
import torch

from .conftest import needs_engine
from .scan import CASES, LAYOUTS, backward_check, cut, forward_check

pytestmark = needs_engine


QUICK = (
    "three states, several tiles, ragged-as chosen",
    "a first state alone-as chosen",
    "bf16-as chosen",
    "one state-chunks of one interval",
    "two groups-one partial sum",
)


@pytest.mark.usefixtures("mps")
@pytest.mark.quick(*QUICK)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_definition(
    name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(layout, monkeypatch)
    assert forward_check(name)() < 1
    assert backward_check(name)() < 1


@pytest.mark.usefixtures("mps")
def test_another_schedule_gives_the_same_bits() -> None:
    case = CASES["two groups"]
    first, again = ([*case.forward(), *case.backward(case.forward()[2])] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.usefixtures("inexact")
@pytest.mark.quick("sixteen states, many channels")
@pytest.mark.parametrize("name", ["sixteen states, many channels", "three states, several tiles, ragged"])
def test_the_errors_that_metal_allows_do_not_grow(name: str) -> None:
    assert forward_check(name)() < 1
    assert backward_check(name)() < 1
