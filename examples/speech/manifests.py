"""Utterances of manifests with their labels, checked before anything is trained."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mctc.audio import AudioError, AudioInfo, probe_audio
from mctc.score.manifests.read import misfit, reader_of
from mctc.score.utterance import Utterance
from mctc.tokens import Tokens, TokensError, fitted, read_tokens

from .batches import Lengths

SHOWN = 8  # problems in a message


class DataError(ValueError):
    """Manifests, texts or recordings that can't be used; the message names their places."""


@dataclass(frozen=True)
class Spoken:
    """Utterances, the labels of each (class 0 is the blank), and how long they are."""

    utterances: list[Utterance]
    labels: list[NDArray[np.int64]]
    lengths: Lengths


def tokens_of(path: str) -> Tokens:
    """The tokens of a file with the blank in front, as `mctc build --tokens` puts them over a transducer's classes."""
    tokens = read_tokens(Path(path))
    return fitted(tokens, tokens.size + 1, blank=0)


def read_spoken(manifests: Sequence[str], tokens: Tokens, rate: int) -> Spoken:
    """Raises DataError for recordings that are missing or shorter than said, and for texts that the tokens don't
    spell; ManifestError for what is no manifest."""
    utterances = [each for path in manifests for each in reader_of(Path(path))(Path(path))]
    infos = {path: _probed(path) for path in {each.audio for each in utterances}}
    problems: list[str] = []
    labels: list[NDArray[np.int64]] = []
    samples = np.zeros(len(utterances), np.int64)
    for at, each in enumerate(utterances):
        info = infos[each.audio]
        problem = info if isinstance(info, str) else misfit(each, info)
        try:
            labels.append(np.array(_spelled(each.text, tokens), np.int64))
        except TokensError as error:
            problem = error.message
        if problem is not None:
            problems.append(f"{each.place}: {problem}")
        elif isinstance(info, AudioInfo):
            samples[at] = round((each.duration or info.seconds - each.start) * rate)
    if problems:
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError("\n".join(problems[:SHOWN]) + more)
    counts, weights = np.array([len(each) for each in labels], np.int64), np.array([each.weight for each in utterances])
    repeats = np.array([int(np.sum(np.diff(each) == 0)) for each in labels], np.int64)
    return Spoken(utterances, labels, Lengths(samples, counts, weights, rate, repeats))


def _spelled(text: str, tokens: Tokens) -> list[int]:
    """Raises TokensError for a character that no token has."""
    ids = tokens.encode(text)
    for token in ids:
        if token in tokens.special:
            raise TokensError(f"no token spells all of {text!r}: there is {tokens.special[token]} in it")
    return ids


def _probed(path: Path) -> AudioInfo | str:
    """What the header of a recording says, or what is wrong with it; a WAV needs no library."""
    if path.is_file():  # a pipe that nobody writes to would never open
        try:
            with wave.open(str(path), "rb") as file:
                return AudioInfo(file.getframerate(), file.getnchannels(), file.getnframes())
        except (wave.Error, EOFError, OSError):
            pass
    try:
        return probe_audio(path)
    except AudioError as error:
        return error.message
