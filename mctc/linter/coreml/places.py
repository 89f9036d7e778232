"""Where ops come from in a spec: what a build of mctc keeps beside its packages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mctc.linter.coreml.report import Place

MANIFEST, ORIGINS = "manifest.json", "origins.json"
LIMIT = 64 << 20


def places_of(package: Path) -> dict[str, dict[str, Place]]:
    """Places by function and op of a package that lies in the folder of its build; empty for any other.

    What is beside a package is not trusted: what isn't of the form that a build writes is passed over.
    """
    folder = package.absolute().parent
    manifest, origins = _read(folder / MANIFEST), _read(folder / ORIGINS)
    found: dict[str, dict[str, Place]] = {}
    for spec_name, function in _entries(manifest.get("functions")):
        if isinstance(function, Mapping) and function.get("package") == package.name:
            entries = _entries(origins.get(spec_name))
            found[str(function.get("name"))] = {name: place for name, each in entries if (place := _place(each))}
    return found


def components_of(package: Path) -> dict[str, str]:
    """The names in the spec of the functions of a package that lies in the folder of its build; empty for any other."""
    functions = _entries(_read(package.absolute().parent / MANIFEST).get("functions"))
    return {
        str(function.get("name")): name
        for name, function in functions
        if isinstance(function, Mapping) and function.get("package") == package.name
    }


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > LIMIT:
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _entries(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _place(entry: Any) -> Place | None:
    from mctc.linter.coreml.report import Place  # a package is run without what a report is made of

    if not isinstance(entry, dict) or not isinstance(entry.get("place"), str):
        return None
    return Place(entry["place"], str(entry.get("instance") or ""), entry.get("fp32") is True)
