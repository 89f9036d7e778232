"""The target class that the registry finds under the name `swift`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mctc.targets.ane.target import AneTarget


class SwiftTarget(AneTarget):
    """Core ML packages as `ane` writes them, and a Swift package that hears with them."""

    name: ClassVar[str] = "swift"
    stands_on: ClassVar[str | None] = "ane"
    packages: ClassVar[bool] = True
    cross_checks: ClassVar[bool] = False  # `ane` asks the same evaluator

    def package(self, folder: Path) -> Sequence[str]:
        """Writes the Swift package of a build for Core ML. Raises SwiftError for a build of another kind."""
        from mctc.targets.swift.package import write_package

        return write_package(folder)
