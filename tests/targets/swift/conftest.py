"""Swift, and a package that was built with it: skipped where there is none, for tests that are opt-in (`.ci/swift`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.targets.swift.builds import Builds, make_builds
from tests.targets.swift.checks import Proof
from tests.targets.swift.toolchain import Toolchain, find_toolchain
from tests.targets.swift.workspace import prepare_proof


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    found = find_toolchain()
    if found is None:
        pytest.skip("needs Swift 6: .ci/swift sets it up")
    return found


@pytest.fixture(scope="session")
def builds(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Builds:
    return make_builds(root, tmp_path_factory.mktemp("swift"))


@pytest.fixture(scope="session")
def proof(toolchain: Toolchain, builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    """The trained model's package with the stand-ins and the proof's program, compiled."""
    place = toolchain.workspace()
    try:
        made = prepare_proof(toolchain, builds.trained, builds.features, place)
        made.build("proof")
        made.build(made.product)
        yield Proof(made, builds, tmp_path_factory.mktemp("proof"))
    finally:
        shutil.rmtree(place, ignore_errors=True)
