"""Swift, and a package that was built with it: skipped where there is none, for tests that are opt-in (`.ci/swift`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mctc.driver import BuildOptions, build
from tests.targets.swift.checks import Proof
from tests.targets.swift.toolchain import Toolchain, find_toolchain
from tests.targets.swift.workspace import prepare


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    found = find_toolchain()
    if found is None:
        pytest.skip("needs Swift 6: .ci/swift sets it up")
    return found


@pytest.fixture(scope="session")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small trained model, built for swift."""
    folder = tmp_path_factory.mktemp("swift") / "tiny"
    given = root / "spec/trained"
    options = BuildOptions(target="swift", weights=given / "mct_tiny.safetensors", tokens=given / "pieces.model")
    build(root / "spec/mct_tiny.mct", folder, options)
    return folder


@pytest.fixture(scope="session")
def looking_ahead(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose encoder looks ahead, built for swift."""
    folder = tmp_path_factory.mktemp("swift") / "ahead"
    build(root / "tests/runtime/ahead.mct", folder, BuildOptions(target="swift", allow_errors=True))
    return folder


@pytest.fixture(scope="session")
def proof(
    toolchain: Toolchain, trained: Path, looking_ahead: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proof]:
    """The trained model's package with the stand-ins and the proof's program, compiled."""
    place = toolchain.workspace()
    try:
        made = prepare(toolchain, trained, place)
        made.build("proof")
        made.build(made.product)
        yield Proof(made, trained, looking_ahead, tmp_path_factory.mktemp("proof"))
    finally:
        shutil.rmtree(place, ignore_errors=True)
