"""Ends of words from a CTM file (NIST): `recording channel start duration word [confidence]`, in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mctc.score.errors import ManifestError
from mctc.score.manifests.json_lines import lines_of
from mctc.score.utterance import SaidWord, Utterance


def with_ends(utterances: Iterable[Utterance], path: Path) -> Iterator[Utterance]:
    """Utterances with the words of a file: by their id, else by their recording's name without its ending, where times
    count from the recording's start. Raises ManifestError for a line that is none, and where no utterance has words."""
    words, met = _words(path), False
    for utterance in utterances:
        own, stem = words.get(utterance.id), words.get(utterance.audio.stem)
        found = tuple(own if own is not None else _within(utterance, stem or []))
        met = met or bool(found)
        yield replace(utterance, words=found) if found else utterance
    if not met:
        raise ManifestError(path, "it has words of none of the utterances", hint="its first column is their id")


def _within(utterance: Utterance, words: list[SaidWord]) -> Iterator[SaidWord]:
    for word in words:
        end = word.end - utterance.start
        if end > 0 and (utterance.duration is None or end <= utterance.duration):
            yield SaidWord(word.text, end)


def _words(path: Path) -> dict[str, list[SaidWord]]:
    found: dict[str, list[SaidWord]] = {}
    for number, line in lines_of(path):
        if line.startswith(";;"):
            continue
        try:
            name, _, start, duration, word = line.split()[:5]
            said = SaidWord(word, float(start) + float(duration))
        except ValueError as error:
            raise ManifestError(f"{path}:{number}", "this is no RECORDING CHANNEL START DURATION WORD") from error
        found.setdefault(name, []).append(said)
    return found
