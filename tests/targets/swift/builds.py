"""Builds for swift that the tests hear with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mctc.driver import BuildOptions, build


@dataclass(frozen=True)
class Builds:
    """A trained model, one of two chunks whose encoder looks ahead, one that makes features and no text, and
    transducers whose spec says durations: behind the labels, and in a result of their own."""

    trained: Path
    ahead: Path
    features: Path
    behind: Path
    apart: Path


def make_builds(root: Path, folder: Path) -> Builds:
    """All of them in a folder. root: of the project."""
    made = Builds(*(folder / name for name in ("tiny", "ahead", "vad", "behind", "apart")))
    weights, tokens = (root / "spec/trained" / name for name in ("mct_tiny.safetensors", "pieces.model"))
    build(root / "spec/mct_tiny.mct", made.trained, BuildOptions(target="swift", weights=weights, tokens=tokens))
    two_chunks((root / "tests/runtime/ahead.mct").read_text(encoding="utf-8"), made.ahead)
    small = BuildOptions(target="swift", defines={"width": 32}, allow_errors=True)
    build(root / "spec/silero_vad.mct", made.features, small)
    for path, apart in ((made.behind, False), (made.apart, True)):
        spans = BuildOptions(target="swift", defines={"apart": apart}, allow_errors=True)
        build(root / "tests/runtime/durations.mct", path, spans)
    return made


def two_chunks(spec: str, folder: Path) -> None:
    """A build of a spec of one chunk, 160 ms, with 80 ms besides."""
    path = folder.with_suffix(".mct")
    path.write_text(spec.replace("chunk = 160 ms", "chunk = [160 ms, 80 ms]"), encoding="utf-8")
    build(path, folder, BuildOptions(target="swift", allow_errors=True))
