"""Finds the model inside a .mlpackage folder, and keeps every path inside it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from mctc.package.errors import PackageError

_MANIFEST_LIMIT = 1 << 20
_MODEL_LIMIT = (1 << 31) - 1  # protobuf's own limit for a message


def find_model(package: Path) -> Path:
    """The specification file that Manifest.json names as the root model. Raises PackageError."""
    if not package.exists():
        raise PackageError(f"{package}: there is no such package")
    if not package.is_dir():
        raise PackageError(f"{package}: a .mlpackage is a folder; this is a file")
    manifest = package / "Manifest.json"
    if not manifest.exists():
        hint = "a compiled .mlmodelc can't be evaluated" if package.suffix == ".mlmodelc" else None
        raise PackageError(f"{package}: no Manifest.json here, so this isn't a .mlpackage", hint=hint)
    try:
        content = json.loads(read_file(inside(package, manifest), _MANIFEST_LIMIT))
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{manifest}: not readable as JSON ({error})") from error
    return inside(package, package / "Data" / _root_path(content, manifest))


def _root_path(content: Any, manifest: Path) -> str:
    entries = content.get("itemInfoEntries") if isinstance(content, dict) else None
    root = content.get("rootModelIdentifier") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not isinstance(root, str):
        raise PackageError(f"{manifest}: itemInfoEntries or rootModelIdentifier is missing")
    entry = entries.get(root)
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise PackageError(f"{manifest}: the root model {root!r} has no entry with a path")
    return path


def inside(package: Path, path: Path) -> Path:
    """`path` with every link resolved. Raises PackageError when that lies outside the package."""
    base = Path(os.path.realpath(package))
    real = Path(os.path.realpath(path))
    if base != real and base not in real.parents:
        raise PackageError(f"{package}: the path {path} leads outside the package")
    return real


def read_file(path: Path, limit: int = _MODEL_LIMIT) -> bytes:
    """The whole of a regular file of at most `limit` bytes. Raises PackageError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise PackageError(f"{path}: can't be opened ({error.strerror})") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PackageError(f"{path}: not a regular file")
        if status.st_size > limit:
            raise PackageError(f"{path}: {status.st_size} bytes, more than the {limit} that are read")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(descriptor)
