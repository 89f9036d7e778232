"""Phones of a text, by flite's dictionary and letter-to-sound rules, and where they are in a recording of it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from corpus.flite import Flite, Wave
from corpus.sound import RATE, Samples

PAUSE, VOICE = "pau", "slt"  # a woman's, as the recordings are
HOP, WINDOW, BANDS = 80, 400, 24  # samples, samples, mel bands
LEAST_HZ, MOST_HZ = 80.0, 7600.0
QUIET = 35 * np.log(10) / 10  # below the loudest frame
LEAST_PAUSE_S, CLOSURE_S = 0.08, 0.03  # of a pause; of the silence in a stop, which is not part of it
INFINITE = float("inf")
PACE = 0.3  # what one frame of one recording held against another one costs more than both going on
Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Phone:
    """A phone of flite's set, when it ends in seconds, and the number of its word; -1 of a pause."""

    name: str
    end: float
    word: int


class FrontEnd(Protocol):
    """Finds the phones of a text."""

    def of(self, text: str) -> tuple[list[Phone], Samples]:
        """The phones of a text, with their ends in a sound of them, and that sound at 16 kHz."""
        ...


class Phones:
    """flite's front end, and the sound that one of its voices gives for the same phones."""

    def __init__(self, flite: Flite) -> None:
        library, self._voice = flite.opened(VOICE)
        self._call: dict[str, Any] = {}
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", pointer, (text, pointer)),
            ("utt_wave", ctypes.POINTER(Wave), (pointer,)),
            ("utt_relation", pointer, (pointer, text)),
            ("relation_head", pointer, (pointer,)),
            ("item_next", pointer, (pointer,)),
            ("item_parent", pointer, (pointer,)),
            ("item_as", pointer, (pointer, text)),
            ("item_feat_string", text, (pointer, text)),
            ("item_feat_float", ctypes.c_float, (pointer, text)),
            ("delete_utterance", None, (pointer,)),
        ):
            function = library[name]
            function.restype, function.argtypes = result, arguments
            self._call[name] = function

    def of(self, text: str) -> tuple[list[Phone], Samples]:
        utterance = self._call["flite_synth_text"](text.encode(), self._voice)
        wave = self._call["utt_wave"](utterance)[0]
        samples = np.ctypeslib.as_array(wave.samples, (wave.count,)) / np.float32(32768)
        found, words, last, text_of = list[Phone](), -1, None, self._call["item_feat_string"]
        item = self._call["relation_head"](self._call["utt_relation"](utterance, b"Segment"))
        while item:
            word = self._word(item)
            if word and word != last:
                last = word
                words += not text_of(word, b"name").startswith(b"'")  # 's and 'll end another word
            end = self._call["item_feat_float"](item, b"end")
            found.append(Phone(text_of(item, b"name").decode(), end, words if word else -1))
            item = self._call["item_next"](item)
        self._call["delete_utterance"](utterance)
        return found, samples

    def _word(self, item: Any) -> Any:
        """The word of a segment: its syllable's parent."""
        syllable = self._call["item_as"](item, b"SylStructure")
        above = syllable and self._call["item_parent"](syllable)
        return above and self._call["item_parent"](above)


def frames(samples: Samples) -> Frames:
    """Logarithms of mel energies (T, BANDS), one each HOP samples."""
    padded = np.pad(samples, (WINDOW // 2, WINDOW // 2))
    at = np.arange(0, samples.size, HOP)[:, None] + np.arange(WINDOW)
    power = np.abs(np.fft.rfft(padded[at] * np.hanning(WINDOW), 512)) ** 2
    found: Frames = np.log(power @ _mel().T + 1e-8).astype(np.float32)
    return found


@cache
def _mel() -> NDArray[np.float64]:
    """Triangles (BANDS, 257) whose corners lie evenly in mel."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (LEAST_HZ, MOST_HZ))
    corners = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    hertz = np.linspace(0, RATE / 2, 257)
    up = (hertz - corners[:-2, None]) / np.diff(corners)[:-1, None]
    down = (corners[2:, None] - hertz) / np.diff(corners)[1:, None]
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(up, down))
    return triangles


def aligned(samples: Samples, ends: Sequence[float], phones: Sequence[Phone], other: Samples) -> list[Phone]:
    """The phones of a recording, whose words end at `ends`: those of another one with the same words, each word's
    frames warped onto its own. [] where the two do not have the same number of words.

    Source of the method: Sakoe and Chiba 1978, dynamic time warping; of its use for phones: Malfrere and Dutoit 1997.
    """
    if max((phone.word for phone in phones), default=-1) + 1 != len(ends):
        return []
    here, there = frames(samples), frames(other)
    loud = _loudness(here)
    here, there = (each - each[_loudness(each) > _loudness(each).max() - QUIET].mean(0) for each in (here, there))
    found, begin = list[Phone](), 0.0
    edges = [0.0, *(phone.end for phone in phones)]
    for word, end in enumerate(ends):
        its = [at for at, phone in enumerate(phones) if phone.word == word]
        first, last = (round(each * RATE / HOP) for each in (begin, end))
        start = _after_pause(loud, first, last)
        if start > first:
            found.append(Phone(PAUSE, start * HOP / RATE, -1))
        marks = [round(edges[at] * RATE / HOP) for at in (*its, its[-1] + 1)]
        path = _warped(there[marks[0] : marks[-1]], here[start:last])
        for at, mark in zip(its, marks[1:], strict=True):
            stop = last if at == its[-1] else start + int(path[min(mark - marks[0], len(path) - 1)])
            found.append(Phone(phones[at].name, stop * HOP / RATE, word))
        begin = end
    return found


def _loudness(each: Frames) -> NDArray[np.float32]:
    """Logarithm of the energy of frames."""
    found: NDArray[np.float32] = np.log(np.exp(each).sum(1))
    return found


def _after_pause(loud: NDArray[np.float32], first: int, last: int) -> int:
    """The frame in which a word begins behind what is quiet."""
    quiet = loud[first:last] < loud.max() - QUIET
    quiet[: WINDOW // HOP] = True  # what these frames hear is the word before, too
    count = int(np.argmin(quiet)) if not quiet.all() else 0
    if count * HOP / RATE < LEAST_PAUSE_S:
        return first
    return first + count - round(CLOSURE_S * RATE / HOP)


def _warped(reference: Frames, here: Frames) -> NDArray[np.int64]:
    """For each frame of a reference, the first frame here that it is held against on the cheapest way."""
    rows, columns = len(reference), len(here)
    if not rows or not columns:
        return np.zeros(max(1, rows), np.int64)
    cost = np.sqrt(((reference[:, None] - here[None]) ** 2).mean(2)).tolist()
    best = [[0.0] * columns for _ in range(rows)]
    came = [[0] * columns for _ in range(rows)]
    for row in range(rows):
        line, above = best[row], best[row - 1]
        for column in range(columns):
            if row == column == 0:
                line[0] = cost[0][0]
                continue
            here_cost = cost[row][column]
            options = (
                above[column - 1] + here_cost if row and column else INFINITE,
                above[column] + here_cost + PACE if row else INFINITE,
                line[column - 1] + here_cost + PACE if column else INFINITE,
            )
            least = min(options)
            line[column], came[row][column] = least, options.index(least)
    path, row, column = np.zeros(rows, np.int64), rows - 1, columns - 1
    while True:
        path[row] = column
        if row == column == 0:
            return path
        step = came[row][column]
        row, column = row - (step != 2), column - (step != 1)
