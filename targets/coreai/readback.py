"""An asset opened again, run, and compared with the program that it was made from."""

from __future__ import annotations

from pathlib import Path

from mctc.driver.target import Agreement, Written
from mctc.ir.program import Program
from mctc.proof.readback import Readback
from mctc.targets.coreai.engine import CoreAiEngine
from mctc.targets.coreai.errors import CoreAiError
from mctc.weights import Weights


def check_asset(
    program: Program, weights: Weights, folder: Path, written: Written, *, precision: str
) -> list[Agreement]:
    """Runs every function. Raises CoreAiError where a result differs too much."""
    (artifact,) = written.artifacts
    engines = {folder / artifact: CoreAiEngine(folder / artifact)}
    return Readback(folder, engines.__getitem__, precision, CoreAiError).steps(program, weights, written.interfaces)
