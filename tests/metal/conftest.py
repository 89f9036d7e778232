"""Launch code meets the stand-in for torch.mps, and CPU tensors stand in for those of MPS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch

from mctc.targets.torch.runtime import metal, rnnt_loss_gpu, selective_scan_gpu, selective_scan_launches

from . import engine, front_end, torch_mps


def needs(what: str | None) -> pytest.MarkDecorator:
    return pytest.mark.skipif(what is not None, reason=what or "")


needs_engine = needs(engine.missing())
needs_clang = needs(front_end.missing())


def forget_libraries() -> None:
    """The next launch compiles its text again."""
    metal._load.cache_clear()
    selective_scan_launches._library.cache_clear()
    selective_scan_gpu._calls.clear()


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kernels are loaded as on a Mac, and run by the engine. Uninitialised memory is poison."""
    load = metal.load

    def load_for_mps(_: torch.device, source: str, defines: Mapping[str, int | str]) -> metal.Library:
        return load(torch.device("mps"), source, defines)

    monkeypatch.setattr(torch.mps, "compile_shader", torch_mps.compile_shader)
    monkeypatch.setattr(metal, "load", load_for_mps)
    monkeypatch.setattr(rnnt_loss_gpu, "load", load_for_mps)
    with torch_mps.Poison():
        yield
    forget_libraries()


@pytest.fixture
def inexact(mps: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Functions and divisions are off by as much as Metal's specification lets them be; subnormal results are zero."""
    monkeypatch.setattr(torch.mps, "compile_shader", lambda text: torch_mps.compile_shader(text, ["-DINEXACT"]))
    forget_libraries()
    yield
    forget_libraries()
