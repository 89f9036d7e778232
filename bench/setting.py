"""What a row may use: where things are, and a build of mct_small that all share."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench.environment import variables
from bench.process import Command, Usage, measure


@dataclass(frozen=True)
class Setting:
    """root: the tree; work: a folder to write in; peer: the peer's script; pairs: how often two sides are run;
    packages: a folder of models that others made."""

    root: Path
    work: Path
    peer: Path | None
    pairs: int
    packages: Path | None = None
    environment: Mapping[str, str] = field(default_factory=variables)

    @property
    def python(self) -> str:
        return sys.executable

    @property
    def mctc(self) -> str:
        """The command, as it is installed beside the Python."""
        return str(Path(sys.executable).with_name("mctc"))

    @property
    def small(self) -> Path:
        return self.root / "spec" / "mct_small.mct"

    @cached_property
    def built(self) -> Path:
        """The folder of mct_small with its initial weights, as `mctc build` writes it."""
        folder = self.work / "mct_small"
        self.run([self.mctc, "build", self.small, "--target", "ane", "-o", folder])
        return folder

    def run(self, command: Command) -> Usage:
        return measure(command, self.work, self.environment)
