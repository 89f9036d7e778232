"""NeMo's manifests: a line `{"audio_filepath": "a.wav", "text": "what was said"}`, with `offset` and `duration` in
seconds where a piece of the recording is meant, and `weight`, how often an epoch of training takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import JsonEntry, entries
from mctc.score.manifests.paths import beside
from mctc.score.utterance import SaidWord, Utterance

KEY = "audio_filepath"


def read_nemo(path: Path) -> Iterator[Utterance]:
    """An utterance a line, called by its `id` or else by its recording and offset. `words`, where there are any, are
    objects with `word` and `end`, in seconds from the utterance's start. Raises ManifestError."""
    for entry in entries(path):
        name, offset = entry.text(KEY), entry.seconds("offset", 0.0) or 0.0
        called = entry.text("id") if "id" in entry.content else f"{name}@{offset:g}" if offset else name
        rate = entry.content.get("sample_rate")
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int)):
            raise ManifestError(entry.place, "`sample_rate` is no whole number of Hz")
        yield Utterance(
            called, beside(path, name), entry.text("text"), entry.place, offset, entry.seconds("duration"),
            tuple(_words(entry)), rate, weight=entry.weight(),
        )  # fmt: skip


def _words(entry: JsonEntry) -> Iterator[SaidWord]:
    for word in entry.listed("words"):
        end = word.seconds("end")
        if end is not None:
            yield SaidWord(word.text("word"), end)
