"""Writing programs as Core AI assets and running them. Without coreai only what it is missing for is tested."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from mctc.driver.engine import Engine
from mctc.driver.options import BuildOptions
from mctc.driver.target import Agreement, Written
from mctc.ir.program import Program
from mctc.passes.legalise import Legalise
from mctc.rewrite.base import Context
from mctc.targets.coreai.target import CoreAiTarget
from mctc.weights import Weights
from tests.targets.ane.conftest import compiled

collect_ignore_glob = [] if find_spec("coreai") else ["test_[!l]*.py"]


@dataclass(frozen=True)
class Made:
    """A program's asset on disk."""

    program: Program
    weights: Weights
    folder: Path
    options: BuildOptions
    written: Written

    @property
    def asset(self) -> Path:
        return self.folder / self.written.artifacts[0]

    @property
    def precision(self) -> str:
        return str(self.options.precision)

    def engine(self) -> Engine:
        return CoreAiTarget().engine(self.asset, self.precision)

    def check(self) -> list[Agreement]:
        """Runs every function against its program."""
        return CoreAiTarget().check(compiled(self.program), self.weights, self.folder, self.options, self.written)


Make = Callable[..., Made]


def made(program: Program, folder: Path, **options: object) -> Made:
    """Writes a deployed program into `folder`, held to Core AI's ops first."""
    legal = Legalise().run(program, Context(stack="coreai"))
    asked, weights = BuildOptions(target="coreai", **options).resolved(CoreAiTarget.forms), Weights(legal.sources)  # type: ignore[arg-type]
    written = CoreAiTarget().write(compiled(legal), weights, folder, asked, {"mctc.model": program.name})
    return Made(legal, weights, folder, asked, written)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(program, state='packed', precision='fp32')` writes an asset into a folder of its own."""

    def write(program: Program, **options: object) -> Made:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return made(program, folder, **options)

    return write
