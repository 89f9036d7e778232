"""selective_scan.metal, launched as on a Mac and run by the engine, against the definition in fp64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import metal, selective_scan_gpu

from . import torch_mps
from .conftest import needs_engine
from .scan import CASES, worst

pytestmark = needs_engine

LAYOUTS = ["as chosen", "chunks of one interval", "one partial sum"]


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the work is cut. Only long sequences are cut into chunks, and only many channels share a partial sum."""
    chosen = selective_scan_gpu.plan

    def changed(x: Tensor, A: Tensor, B: Tensor) -> selective_scan_gpu.Plan:
        plan = chosen(x, A, B)
        chunk = plan.interval if request.param == "chunks of one interval" else plan.chunk
        partials = 1 if request.param == "one partial sum" else plan.partials
        return dataclasses.replace(plan, chunk=chunk, partials=partials)

    monkeypatch.setattr(selective_scan_gpu, "plan", changed)
    return str(request.param)


@pytest.mark.usefixtures("mps", "layout")
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_definition(name: str) -> None:
    case = CASES[name]
    outputs, gradients = case.expected
    *computed, checkpoints = case.forward()
    assert worst(computed, outputs) < case.tolerance
    assert worst(case.backward(checkpoints), gradients) < case.tolerance


@pytest.mark.usefixtures("mps")
def test_another_schedule_gives_the_same_bits() -> None:
    case = CASES["two groups"]
    first, again = ([*case.forward(), *case.backward(case.forward()[2])] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.fixture
def inexact(mps: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """exp, exp2, log and log2 are off by as much as Metal's specification lets them be; subnormal results are zero."""
    monkeypatch.setattr(torch.mps, "compile_shader", lambda text: torch_mps.compile_shader(text, ["-DINEXACT"]))
    metal._load.cache_clear()
    yield
    metal._load.cache_clear()


@pytest.mark.usefixtures("inexact")
@pytest.mark.parametrize("name", ["sixteen states, many channels", "three states, several tiles, ragged"])
def test_the_errors_that_metal_allows_do_not_grow(name: str) -> None:
    case = CASES[name]
    *outputs, checkpoints = case.forward()
    assert worst(outputs, case.expected[0]) < case.tolerance
    assert worst(case.backward(checkpoints), case.expected[1]) < case.tolerance
