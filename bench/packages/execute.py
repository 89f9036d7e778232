"""Runs the programs of one package in the evaluator and prints what came of it: JSON a line, the reading first.

    python -m bench.packages.execute PACKAGE [FOLDER]

With FOLDER, inputs and outputs are written there for the comparison with an independent result. Nothing is rounded to
fp16 then: what is left to differ is the rounding of fp32.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.packages.inputs import feeds
from mctc.diagnostics.errors import MctcError
from mctc.evaluate.coreml import Evaluator, Precision
from mctc.package import AbsentFile, ForeignModel, NotAProgram, Package, PackageError, read_package
from mctc.package.manifest import find_model
from mctc.package.protobuf import model_class


def reading(path: Path) -> dict[str, Any]:
    """Whether the model is read, or why not, and whether that reason is the file's own: pieces of it are missing, or
    its bytes are no message of Core ML's. What is no ML program is read too, as far as it has something to say."""
    try:
        read_package(path, absent_weights=True)
    except NotAProgram as error:
        return {"read": True, "kind": error.model.kind}
    except PackageError as error:
        return {"read": False, "why": error.message, "own": isinstance(error, AbsentFile) or not parses(path)}
    return {"read": True, "kind": "mlProgram"}


def parses(path: Path) -> bool:
    """Whether protobuf takes the specification of a package or a file."""
    try:
        file = find_model(path) if path.is_dir() else path
        model_class()().ParseFromString(file.read_bytes())
    except Exception:
        return False
    return True


def programs(path: Path) -> Iterator[Package]:
    """The ML program at a path, or those of a pipeline. None where it can't be read."""
    try:
        yield read_package(path, absent_weights=True)
    except PackageError as error:
        if not isinstance(error, NotAProgram):
            return
        yield from (each for each in leaves(error.model) if isinstance(each, Package))


def leaves(model: ForeignModel) -> Iterator[Package | ForeignModel]:
    for member in model.members:
        if isinstance(member, ForeignModel) and member.members:
            yield from leaves(member)
        else:
            yield member


def execute(package: Package, folder: Path | None) -> Iterator[dict[str, Any]]:
    """One entry a function: what failed, or seconds and the names of its outputs."""
    for name, function in package.functions.items():
        entry: dict[str, Any] = {"member": package.member, "function": name, "opset": function.opset}
        if package.absent:
            yield {**entry, "without": [each.message for each in package.absent]}
            continue
        precision: Precision = "fp16" if folder is None else "fp32"
        start = time.perf_counter()
        try:
            run = Evaluator(package, precision).function(name)
            for kind, inputs in feeds(package, function).items():
                outputs = run(inputs, run.make_state())
                if folder is not None:
                    keep(folder, f"{package.member}-{name}-{kind}", inputs, outputs)
        except (MctcError, ValueError) as error:
            yield {**entry, "failed": f"{type(error).__name__}: {error}"}
            continue
        yield {**entry, "seconds": time.perf_counter() - start, "outputs": list(outputs)}


def keep(folder: Path, name: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Inputs as in:NAME, outputs as out:NAME; labels and dictionaries are no arrays and are left out."""
    arrays = {f"in:{key}": value for key, value in inputs.items()}
    arrays |= {f"out:{key}": value for key, value in outputs.items() if isinstance(value, np.ndarray)}
    np.savez(folder / f"{name}.npz", **arrays)


def main(arguments: list[str]) -> None:
    print(json.dumps(reading(Path(arguments[0]))), flush=True)
    folder = Path(arguments[1]) if len(arguments) > 1 else None
    for package in programs(Path(arguments[0])):
        for entry in execute(package, folder):
            print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
