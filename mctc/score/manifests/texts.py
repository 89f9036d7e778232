"""Recordings with a text file beside each, and lists of `recording <tab> text`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.audio.endings import READ, SOUND
from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import lines_of
from mctc.score.manifests.paths import beside
from mctc.score.utterance import Utterance

HEADERS = {"path": "audio", "file": "audio", "audio": "audio", "text": "text", "sentence": "text"}


def read_folder(folder: Path) -> Iterator[Utterance]:
    """An utterance a sound file in a folder or below, what was said in the .txt file of its name beside it. Raises
    ManifestError for a sound file without one, and for a folder without any."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUND and path.is_file())
    if not found:
        raise ManifestError(folder, "there are no sound files in it", hint=f"they end in {', '.join(READ)}")
    for path in found:
        text = path.with_suffix(".txt")
        if not text.is_file():
            raise ManifestError(path, f"there is no {text.name} beside it that has what is said in it")
        said = " ".join(line for _, line in lines_of(text))
        yield Utterance(path.relative_to(folder).as_posix(), path, said, str(text))


def read_list(path: Path) -> Iterator[Utterance]:
    """An utterance a line `recording <tab> text`; columns of other orders by a header with path and text, or path and
    sentence. Raises ManifestError."""
    columns = {"audio": 0, "text": 1}
    for at, (number, line) in enumerate(lines_of(path)):
        fields, place = line.split("\t"), f"{path}:{number}"
        if not at and (header := _header(fields)):
            columns = header
            continue
        if len(fields) <= max(columns.values()):
            raise ManifestError(place, "this is no recording, a tab, and a text")
        name = fields[columns["audio"]].strip()
        yield Utterance(name, beside(path, name), fields[columns["text"]], place)


def _header(fields: list[str]) -> dict[str, int] | None:
    """Columns by what they hold, where the fields name both."""
    named = {HEADERS[name]: at for at, name in enumerate(each.strip().lower() for each in fields) if name in HEADERS}
    return named if len(named) == 2 else None
