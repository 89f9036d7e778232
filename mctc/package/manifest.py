"""Finds the model inside a .mlpackage folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mctc.package.errors import PackageError
from mctc.package.files import inside, read_file

__all__ = ["find_model", "inside", "read_file"]

_MANIFEST_LIMIT = 1 << 20
NO_MANIFEST = "download or save the package again; without a manifest, name the .mlmodel file inside it"


def find_model(package: Path) -> Path:
    """The specification file that Manifest.json names as the root model. Raises PackageError.

    A link is not resolved: weights lie beside the link, not beside what it leads to.
    """
    manifest = package / "Manifest.json"
    try:
        content = json.loads(read_file(inside(package, manifest), _MANIFEST_LIMIT))
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{manifest}: not readable as JSON ({error})", hint=NO_MANIFEST) from error
    model = package / "Data" / _root_path(content, manifest)
    inside(package, model)
    return model


def _root_path(content: Any, manifest: Path) -> str:
    entries = content.get("itemInfoEntries") if isinstance(content, dict) else None
    root = content.get("rootModelIdentifier") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not isinstance(root, str):
        raise PackageError(f"{manifest}: itemInfoEntries or rootModelIdentifier is missing", hint=NO_MANIFEST)
    entry = entries.get(root)
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise PackageError(f"{manifest}: the root model {root!r} has no entry with a path", hint=NO_MANIFEST)
    return path
