"""selective_scan_over_lanes.metal, launched as on a Mac and run by the engine, against the definition in fp64."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from mctc.targets.torch.runtime import metal, selective_scan_gpu

from .conftest import needs_engine
from .errors import worst
from .scan import Case
from .scan_over_lanes import CASES, RAGGED, forward_check, over_lanes

pytestmark = [needs_engine, pytest.mark.usefixtures("mps")]


@pytest.fixture
def texts(mps: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that launches have loaded."""
    loaded: list[str] = []
    load = metal.load

    def kept(device: torch.device, source: str, defines: Mapping[str, int | str]) -> metal.Library:
        loaded.append(source)
        return load(device, source, defines)

    monkeypatch.setattr(metal, "load", kept)
    return loaded


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_definition(name: str, texts: list[str]) -> None:
    assert forward_check(name)() < 1
    assert any("void selective_scan_forward_over_lanes(" in text for text in texts)


@pytest.mark.parametrize("name", [RAGGED])
@pytest.mark.usefixtures("inexact")
def test_the_errors_that_metal_allows_do_not_grow(name: str) -> None:
    assert forward_check(name)() < 1


@pytest.mark.parametrize(
    "case",
    [
        Case(64, 4, batch=1, channels=2, dtype=torch.bfloat16),
        Case(60, 4, batch=1, channels=2, dtype=torch.bfloat16),
        Case(72, 4, batch=1, channels=2, dtype=torch.bfloat16),
    ],
    ids=["memory displaced", "rows apart by 120 bytes", "a lane cut off"],
)
def test_rows_that_are_no_whole_vectors_of_lanes_take_the_other_kernel(case: Case, texts: list[str]) -> None:
    with over_lanes(CASES[RAGGED][0]):
        moved = [each if each is None or case.length != 64 else displaced(each) for each in case.inputs.values()]
        results = selective_scan_gpu.forward(*moved, case.softplus)[:2]
    assert worst(results, case.expected[0]) < case.tolerance
    assert any("void selective_scan_forward(" in text for text in texts)


def displaced(each: torch.Tensor) -> torch.Tensor:
    """The same numbers, one place behind the begin of their memory."""
    wide = each.new_empty(each.numel() + 1)
    wide[1:] = each.flatten()
    return wide[1:].view(each.shape)


def test_the_way_back_starts_from_its_stored_states() -> None:
    mapping, case = CASES[RAGGED]
    with over_lanes(mapping):
        gradients = case.backward(case.forward()[2])
    assert worst(gradients, case.expected[1]) < case.tolerance
