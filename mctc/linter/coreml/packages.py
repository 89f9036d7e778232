"""From the paths of a command line to the packages that they mean.

A hook of pre-commit names the files that changed, so a file inside a package stands for the package.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mctc.diagnostics.errors import UsageError
from mctc.package import PackageError
from mctc.package.manifest import find_model
from mctc.package.placeholders import HEAD, other_content, placeholder

FOLDERS, FILE = (".mlpackage", ".mlmodelc"), ".mlmodel"
PACKED = (".zip", ".gz", ".tgz")
MARKS = ("Manifest.json", "model.mil")
"""What a package has in it, whatever its folder is called."""
SKIPPED = {"__MACOSX", "__pycache__", "node_modules", "site-packages", "venv"}
"""Folders that aren't searched, beside those that begin with a dot."""


def packages_of(paths: Iterable[Path], excludes: Callable[[Path], bool] | None = None) -> list[Path]:
    """The packages themselves, those that a file is inside of, and those in a folder, in order, each once.

    excludes: what to leave out, unless the package itself is named. Raises UsageError for a path that stands for none.
    """
    found: dict[str, Path] = {}
    for path in paths:
        for package in _packages(Path(os.path.normpath(path)), excludes or _nothing):
            found.setdefault(os.path.realpath(package), package)
    return list(found.values())


def _packages(path: Path, excludes: Callable[[Path], bool]) -> Iterator[Path]:
    around = _around(path)
    if around is not None:
        if around == path or not excludes(around):
            yield around
            if path.suffix.lower() == FILE and path.is_file() and not _is_whole(around):
                yield path  # as the error about the package says to
    elif path.is_dir():
        inside = list(_inside(path))
        if inside:
            yield from (each for each in inside if not excludes(each))
        elif any((path / mark).is_file() for mark in MARKS):
            yield path
        else:
            raise UsageError(
                f"{path}: there is no package in this folder",
                hint="name a .mlpackage, a .mlmodelc or a .mlmodel, or a folder that holds some",
            )
    elif path.exists():
        raise _no_package(path)
    else:
        raise UsageError(f"{path}: there is no such file or folder", hint="it is looked for from the current folder")


def _no_package(path: Path) -> UsageError:
    """What is to be told of a file that is no package; of one that is called so, or packed, also what it is."""
    said, hint = "neither a Core ML package nor a file in one", "name a .mlpackage or a .mlmodel"
    if path.suffix == ".py":
        hint = "`mctc lint --mps FILE.py` checks training code"
    elif path.suffix.lower() in (*FOLDERS, *PACKED) and path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
        found = placeholder(head, path.stat().st_size) or other_content(head)
        said, hint = (f"{found.what}, {said}", found.hint) if found is not None else (said, hint)
    return UsageError(f"{path}: {said}", hint=hint)


def _around(path: Path) -> Path | None:
    """The package that a path is, or is inside of; the outermost, because compiled pipelines hold packages."""
    for each in reversed((path, *path.parents)):
        if each.suffix.lower() in FOLDERS and each.is_dir():
            return each
    if path.suffix.lower() == FILE and path.is_file():
        return path
    full = path.absolute()
    return None if path.is_absolute() or not path.exists() else _around(Path(os.path.normpath(full)))


def _inside(folder: Path) -> Iterator[Path]:
    """The packages of a folder in order. Links to folders are not followed; a link to a package is one."""
    for where, folders, files in os.walk(folder):
        here = Path(where)
        names = sorted([*folders, *(name for name in files if _is_model(name))])
        walked = []
        for name in names:
            if name not in folders or _is_package(here / name):
                yield here / name
            elif name not in SKIPPED and not name.startswith("."):
                walked.append(name)
        folders[:] = walked


def _is_whole(package: Path) -> bool:
    """Whether the manifest of a .mlpackage leads to a specification; that of others, which have none, is not missed."""
    if package.suffix.lower() != FOLDERS[0]:
        return True
    try:
        find_model(package)
    except PackageError:
        return False
    return True


def _is_package(folder: Path) -> bool:
    """Whether a folder is a model by its name; people also call a compiled one .mlmodel."""
    suffix = folder.suffix.lower()
    return suffix in FOLDERS or (suffix == FILE and any((folder / mark).is_file() for mark in MARKS))


def _is_model(name: str) -> bool:
    """Whether a file in a folder is a model by its name; "._NAME" is what macOS keeps beside a file elsewhere."""
    return Path(name).suffix.lower() == FILE and not name.startswith("._")


def _nothing(path: Path) -> bool:
    return False
