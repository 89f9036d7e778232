"""Where a manifest's recordings lie."""

from __future__ import annotations

from pathlib import Path


def beside(manifest: Path, named: str) -> Path:
    """A recording that a manifest names: an absolute path, one from the manifest's folder, or, where that leads to
    nothing, one from the current folder."""
    path, near = Path(named), manifest.parent / named
    return path if path.is_absolute() or (not near.exists() and path.exists()) else near
