"""Kaldi's data folders: wav.scp, text, and segments where the utterances are pieces of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import lines_of
from mctc.score.manifests.paths import beside
from mctc.score.utterance import Utterance

AUDIO, TEXT, SEGMENTS = "wav.scp", "text", "segments"


def read_kaldi(folder: Path) -> Iterator[Utterance]:
    """An utterance a line of `text`. Raises ManifestError for a recording that a command makes, and for an utterance
    without a recording, or the reverse."""
    recordings = _table(folder / AUDIO)
    pieces = _table(folder / SEGMENTS) if (folder / SEGMENTS).exists() else None
    texts = _table(folder / TEXT, empty=True)
    for name in (pieces if pieces is not None else recordings).keys() - texts.keys():
        raise ManifestError((recordings if pieces is None else pieces)[name][0], f"{name} has no line in {TEXT}")
    for name, (place, text) in texts.items():
        recording, start, duration = name, 0.0, None
        if pieces is not None:
            if name not in pieces:
                raise ManifestError(place, f"{name} has no line in {SEGMENTS}")
            recording, start, duration = _segment(*pieces[name])
        if recording not in recordings:
            raise ManifestError(place, f"{name} is of the recording {recording}, which has no line in {AUDIO}")
        where, audio = recordings[recording]
        if audio.endswith("|") or audio.startswith("|"):
            raise ManifestError(where, "a command makes this recording, and mctc runs none", hint="write it to a file")
        yield Utterance(name, beside(folder / AUDIO, audio), text, place, start, duration)


def _table(path: Path, empty: bool = False) -> dict[str, tuple[str, str]]:
    """The rest of each line, and its place, by the line's first word."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in lines_of(path):
        place = f"{path}:{number}"
        name, _, rest = line.strip().replace("\t", " ").partition(" ")
        if name in found:
            raise ManifestError(place, f"{name} is there twice, first at {found[name][0]}")
        if not rest.strip() and not empty:
            raise ManifestError(place, f"nothing follows {name}")
        found[name] = place, rest.strip()
    return found


def _segment(place: str, text: str) -> tuple[str, float, float | None]:
    """Recording, start and duration of 'RECORDING START END', an END below 0 standing for the recording's own."""
    try:
        recording, start, end = text.split()[:3]
        begun, ended = float(start), float(end)
    except ValueError as error:
        raise ManifestError(place, "this is no UTTERANCE RECORDING START END") from error
    if begun < 0 or 0 <= ended <= begun:
        raise ManifestError(place, f"{begun:g} to {ended:g} s is no piece of a recording")
    return recording, begun, None if ended < 0 else ended - begun
