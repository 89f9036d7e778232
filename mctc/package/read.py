"""Reads a model from disk, in whichever of Core ML's three containers it lies."""

from __future__ import annotations

import os
from pathlib import Path

from mctc.package.collector import collector_paused
from mctc.package.errors import PackageError
from mctc.package.files import opened
from mctc.package.manifest import NO_MANIFEST, find_model
from mctc.package.model import Package
from mctc.package.placeholders import HEAD, other_content, placeholder
from mctc.package.specification import read_specification
from mctc.package.weights import Weights

_READ = "a .mlpackage or .mlmodelc folder or a .mlmodel file is read"


def read_package(path: str | os.PathLike[str], *, absent_weights: bool = False) -> Package:
    """Reads a .mlpackage or .mlmodelc folder or a .mlmodel file; weights stay there until a constant is asked for.

    absent_weights: whether a model is read of which weight files aren't there; Package.absent has them. Raises
    NotAProgram when the model is of another kind than an ML program, AbsentFile when a file is missing or something
    stands in its place, and PackageError when nothing of the three is there or it is damaged. Each names the path.
    """
    place = Path(path)
    try:
        with collector_paused():
            return _read(place, absent_weights)
    except PackageError as error:
        if not error.message.startswith(str(place)):  # what is wrong inside of a program is told by its place in it
            error.message = f"{place}: {error.message}"
        raise


def _read(place: Path, absent: bool) -> Package:
    if not os.path.exists(place):  # noqa: PTH110 — Path.exists raises where a folder may not be entered
        raise PackageError(f"{place}: there is no such package")
    if not place.is_dir():
        if place.suffix.lower() != ".mlmodel":
            raise _no_folder(place)
        weights = Weights(place.parent, place.parent, "weights", may_be_absent=absent)
        return read_specification(place, place, weights, "mlmodel")
    if os.path.lexists(place / "Manifest.json"):
        model = find_model(place)
        return read_specification(place, model, Weights(model.parent, place, may_be_absent=absent), "mlpackage")
    from mctc.package.compiled import is_compiled, read_compiled  # its parser is the only part that costs an import

    if is_compiled(place):
        return read_compiled(place, absent_weights=absent)
    if place.suffix.lower() == ".mlpackage" and (place / "Data").is_dir():
        raise PackageError(f"{place}: there is no Manifest.json in it", hint=NO_MANIFEST)
    raise PackageError(f"{place}: no Manifest.json here, so this isn't a .mlpackage", hint=_READ)


def _no_folder(place: Path) -> PackageError:
    """What is to be told of a file in place of a folder: what it holds, where its first bytes tell."""
    with opened(place) as (read, size):
        head = read(0, min(size, HEAD))
    found = placeholder(head, size) or other_content(head)
    what = f"{found.what}, not the folder that a .mlpackage is" if found else "a .mlpackage is a folder; this is a file"
    return PackageError(f"{place}: {what}", hint=found.hint if found else _READ)
