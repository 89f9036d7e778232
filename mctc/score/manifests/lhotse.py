"""Lhotse's cuts: a line an object with a recording, where in it the cut lies, and supervisions with text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import JsonEntry, entries
from mctc.score.manifests.paths import beside
from mctc.score.utterance import SaidWord, Utterance

KEYS = ("recording", "supervisions")


def read_lhotse(path: Path) -> Iterator[Utterance]:
    """An utterance a cut: the texts of its supervisions in order of their starts. Raises ManifestError for a cut of
    several recordings, and for a recording that is no plain file."""
    for entry in entries(path):
        kind = entry.content.get("type", "MonoCut")
        if kind not in ("MonoCut", "MultiCut"):
            raise ManifestError(entry.place, f"a {kind} is mixed of several recordings", hint="save its audio first")
        recording, start = entry.inner("recording"), entry.seconds("start", 0.0) or 0.0
        if recording.content.get("transforms"):
            raise ManifestError(entry.place, "the recording is to be transformed", hint="save its audio first")
        spoken = sorted(entry.listed("supervisions"), key=lambda each: each.seconds("start", 0.0) or 0.0)
        rate, channel = recording.content.get("sampling_rate"), entry.content.get("channel")
        yield Utterance(
            entry.text("id"), beside(path, _file(recording)), " ".join(each.text("text") for each in spoken),
            entry.place, start, entry.seconds("duration"), tuple(word for each in spoken for word in _words(each)),
            rate if isinstance(rate, int) else None, channel if isinstance(channel, int) else None,
        )  # fmt: skip


def _file(recording: JsonEntry) -> str:
    """The one file of a recording."""
    sources = recording.listed("sources")
    if len(sources) != 1 or sources[0].content.get("type") != "file":
        kinds = ", ".join(str(each.content.get("type")) for each in sources) or "none"
        raise ManifestError(recording.place, f"the recording comes from {kinds}, not from one file")
    return sources[0].text("source")


def _words(supervision: JsonEntry) -> Iterator[SaidWord]:
    """Of an alignment `word`: [symbol, start, duration, ...], in seconds from the cut's start."""
    alignments: Any = supervision.content.get("alignment") or {}
    for item in alignments.get("word", []) if isinstance(alignments, dict) else []:
        try:
            symbol, start, duration, *_ = item.values() if isinstance(item, dict) else item
            yield SaidWord(str(symbol), float(start) + float(duration))
        except (TypeError, ValueError, AttributeError) as error:
            raise ManifestError(supervision.place, "a word's alignment is no [symbol, start, duration]") from error
