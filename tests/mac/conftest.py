"""Builds to execute, and what is skipped where there is no Apple silicon."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.driver import BuildOptions, build
from mctc.driver.make import BuildResult

Make = Callable[[str, str], BuildResult]


@pytest.fixture(scope="session")
def apple_silicon() -> None:
    """Skips what needs a Mac with Apple silicon."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        pytest.skip("needs a Mac with Apple silicon")


@pytest.fixture(scope="session")
def neural_engine(apple_silicon: None) -> None:
    """Skips what needs a Neural Engine, which a virtual Mac has not."""
    from coremltools.models.compute_device import MLComputeDevice, MLNeuralEngineComputeDevice

    if not any(isinstance(each, MLNeuralEngineComputeDevice) for each in MLComputeDevice.get_all_compute_devices()):
        pytest.skip("Core ML sees no Neural Engine")


@pytest.fixture(scope="session")
def apple_gpu(apple_silicon: None) -> None:
    """Skips what needs a GPU of Apple's. A virtual Mac may name one on which nothing can be allocated."""
    torch = pytest.importorskip("torch")
    if not torch.backends.mps.is_available():
        pytest.skip("torch sees no GPU of Apple's")
    try:
        torch.ones(1, device="mps").cpu()
    except RuntimeError as error:
        pytest.skip(f"the GPU can't be used: {error}")


@pytest.fixture(scope="session")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A small transducer, by the form of its states and the layout of its packages."""
    made: dict[tuple[str, str], BuildResult] = {}

    def make(state: str, layout: str) -> BuildResult:
        if (state, layout) not in made:
            folder = tmp_path_factory.mktemp("mac") / f"{state}-{layout}"
            options = BuildOptions(state=state, layout=layout, allow_errors=True)
            made[state, layout] = build(root / "tests/runtime/ahead.mct", folder, options)
        return made[state, layout]

    return make
