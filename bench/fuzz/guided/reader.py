"""The package reader under a model: it is read, checked by every lint rule, and made ready to run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.fuzz.guided.bundle import decoded, emptied
from bench.fuzz.guided.sandbox import sandboxed
from bench.fuzz.guided.verdict import Finding, Verdict, refused
from mctc.diagnostics.errors import MctcError
from mctc.evaluate.coreml import Evaluator
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.rule import Rule
from mctc.linter.coreml.table import table
from mctc.package import Block, Constant, Package, read_package
from mctc.package.blob import BlobTensor


def try_model(data: bytes, folder: Path) -> Verdict:
    """Bytes as a model (bundle.py). Raises Finding, or what the reader, the linter or the evaluator should not."""
    rules = _rules()
    path = decoded(data).write(emptied(folder))
    try:
        with sandboxed([path.parent if path.suffix == ".mlmodel" else path]):
            package = read_package(path)
            _stay_inside(package)
            render_text([check_package(package, rules)])
            evaluator = Evaluator(package)
            verdicts = [_compiles(evaluator, name) for name in evaluator.functions]
    except MctcError as error:
        return refused(error)
    return Verdict.REFUSED if Verdict.REFUSED in verdicts else Verdict.ACCEPTED


@lru_cache(maxsize=1)
def _rules() -> tuple[Rule, ...]:
    return tuple(table().rules.values())


def _compiles(evaluator: Evaluator, name: str) -> Verdict:
    """Ops over constants are computed here: a program may ask for more memory than there is, and is told so."""
    try:
        evaluator.function(name)
    except MctcError as error:
        error.render()
        return Verdict.REFUSED
    return Verdict.ACCEPTED


def _stay_inside(package: Package) -> None:
    """Every stored constant lies within its weight file, and has the shape it says or is refused."""
    for constant in (each for function in package.functions.values() for each in _constants(function.body)):
        loader = constant.loader
        if isinstance(loader, BlobTensor) and not 0 <= loader.start <= loader.file.size - loader.stored_bytes:
            raise Finding(f"a constant from byte {loader.start} of a file of {loader.file.size}")
        try:
            value: Any = constant.value()
        except MctcError as error:
            refused(error)
            continue
        shape = getattr(constant.type, "shape", None)
        if hasattr(value, "shape") and value.shape != shape:
            raise Finding(f"a constant of shape {value.shape} is declared {constant.type}")


def _constants(block: Block) -> Iterator[Constant]:
    for operation in block.operations:
        yield from operation.attributes.values()
        for bindings in operation.inputs.values():
            yield from (each for each in bindings if isinstance(each, Constant))
        for inner in operation.blocks:
            yield from _constants(inner)
