"""Writing hand-made programs as packages, and coremltools without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.driver.target import Agreement, Written
from mctc.ir.program import Program
from mctc.package import Package, read_package
from mctc.passes.round_numbers import RoundNumbers
from mctc.rewrite.base import Context
from mctc.streaming.lengths import Lengths
from mctc.targets.ane.coremltools_check import check_with_coremltools
from mctc.targets.ane.coremltools_import import import_coremltools
from mctc.targets.ane.target import AneTarget
from mctc.weights import Weights


@dataclass(frozen=True)
class Made:
    """A program's packages on disk."""

    program: Program
    weights: Weights
    folder: Path
    options: BuildOptions
    written: Written

    @property
    def packages(self) -> list[Package]:
        return [read_package(self.folder / name) for name in self.written.artifacts]

    def check(self) -> list[Agreement]:
        """Evaluates every package against its program."""
        return AneTarget().check(compiled(self.program), self.weights, self.folder, self.options, self.written)

    def retyped(self) -> int:
        """How many operations coremltools' own type inference agrees with."""
        return sum(check_with_coremltools(self.folder / name) for name in self.written.artifacts)


def compiled(program: Program) -> Compiled:
    """A program as it is, as if it had been compiled."""
    return Compiled(*[program] * 6, Lengths(1), {}, {}, ())


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(program, state='io')` writes a program's packages into a folder of its own."""

    def write(program: Program, **options: object) -> Made:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        program = RoundNumbers().run(program, Context())
        asked, weights = BuildOptions(**options), Weights(program.sources)  # type: ignore[arg-type]
        written = AneTarget().write(compiled(program), weights, folder, asked, {"mctc.model": program.name})
        return Made(program, weights, folder, asked, written)

    return write


@pytest.fixture(scope="session", autouse=True)
def coremltools() -> None:
    """coremltools, imported once and without what it would import besides."""
    import_coremltools(hide=True)
