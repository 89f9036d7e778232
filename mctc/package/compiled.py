"""Reads a compiled model: a .mlmodelc folder."""

from __future__ import annotations

from pathlib import Path

from mctc.package.errors import PackageError
from mctc.package.model import Package


def is_compiled(folder: Path) -> bool:
    """Whether a folder is a compiled model, by its name or by what lies in it."""
    return folder.suffix.lower() == ".mlmodelc" or (folder / "model.mil").exists()


def read_compiled(folder: Path) -> Package:
    """The program of a .mlmodelc folder. Raises PackageError."""
    raise PackageError(f"{folder}: a compiled model isn't read yet")
