"""Packages read back from disk: type-checked by the evaluator, and compared with the program they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mctc.driver.target import Agreement, Written
from mctc.evaluate.coreml import Evaluator
from mctc.ir.program import Program
from mctc.package import Package
from mctc.proof.limits import FP16
from mctc.proof.readback import Readback
from mctc.targets.ane.errors import EmitError
from mctc.weights import Weights


def check_packages(
    program: Program, weights: Weights, packages: Mapping[str, Package], folder: Path, written: Written
) -> list[Agreement]:
    """Type-checks every package and evaluates its functions in fp32.

    packages: those that were written, as read back from disk. Raises EmitError when a result differs too much, and
    PackageError, TypeMismatch or UnsupportedOp when a package can't be executed.
    """
    engines = {
        folder / name: Evaluator(package, "fp32", keep_weights=False, check_types=True)
        for name, package in packages.items()
    }
    return Readback(folder, engines.__getitem__, "fp32", EmitError, FP16).steps(program, weights, written.interfaces)
