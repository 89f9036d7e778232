"""Builds to execute, and what is skipped where there is no Apple silicon."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.build import BuildOptions, build
from mctc.build.make import BuildResult

Make = Callable[[str, str], BuildResult]


@pytest.fixture(scope="session")
def apple_silicon() -> None:
    """Skips what needs a Mac with Apple silicon."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        pytest.skip("needs a Mac with Apple silicon")


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
