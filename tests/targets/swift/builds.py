"""Builds for swift that the tests hear with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mctc.driver import BuildOptions, build


@dataclass(frozen=True)
class Builds:
    """A trained model, one of two chunks whose encoder looks ahead, and one that makes features and no text."""

    trained: Path
    ahead: Path
    features: Path


def make_builds(root: Path, folder: Path) -> Builds:
    """All of them in a folder. root: of the project."""
    made = Builds(folder / "tiny", folder / "ahead", folder / "vad")
    weights, tokens = (root / "spec/trained" / name for name in ("mct_tiny.safetensors", "pieces.model"))
    build(root / "spec/mct_tiny.mct", made.trained, BuildOptions(target="swift", weights=weights, tokens=tokens))
    two_chunks((root / "tests/runtime/ahead.mct").read_text(encoding="utf-8"), made.ahead)
    small = BuildOptions(target="swift", defines={"width": 32}, allow_errors=True)
    build(root / "spec/silero_vad.mct", made.features, small)
    return made


def two_chunks(spec: str, folder: Path) -> None:
    """A build of a spec of one chunk, 160 ms, with 80 ms besides."""
    path = folder.with_suffix(".mct")
    path.write_text(spec.replace("chunk = 160 ms", "chunk = [160 ms, 80 ms]"), encoding="utf-8")
    build(path, folder, BuildOptions(target="swift", allow_errors=True))
