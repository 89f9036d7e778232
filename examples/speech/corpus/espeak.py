"""espeak-ng by its C interface (speak_lib.h); the wheel espeakng-loader brings library and voices."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from corpus.sound import QUIET, Ends, Said, Samples
from corpus.voice import Manner

LIBRARY, DATA = "libespeak-ng.so", "espeak-ng-data"
RETRIEVED, UTF8 = 2, 1  # espeak-ng's names for: synchronous, through a callback; texts in UTF-8
RATE_PARAMETER, PITCH_PARAMETER, RANGE_PARAMETER = 1, 3, 4
USUAL_RATE, USUAL_PITCH, USUAL_RANGE = 170, 50, 50  # words a minute; of 100
PITCH_STEP = 1.0125  # by which the pitch rises with each of the 100
NO_EVENT, WORD_EVENT = 0, 1
ACCENTS = (
    "en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"
)  # fmt: skip
VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5",
    "klatt", "klatt2", "klatt3", "klatt4", "adam", "belinda", "caleb", "david", "edward", "steph", "zac",
)  # fmt: skip


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # of a word's first character, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


def installed() -> bool:
    """Whether the wheel is installed."""
    return find_spec("espeakng_loader") is not None


def wheel() -> tuple[Path, Path]:
    """The library of the installed wheel, and the folder in which espeak-ng-data lies."""
    import espeakng_loader

    return Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()).parent


def word_ends(text: str, starts: Mapping[int, float], said: Samples, rate: int) -> Ends:
    """Seconds where each word ends: where the sound ends before the next one begins.

    starts: seconds in `said`, by the place of the word's first letter in the text, from 0. A word that espeak-ng joins
    to the next one has no end.
    """
    loud = np.flatnonzero(np.abs(said) > QUIET * np.abs(said).max(initial=0.0)) + 1
    places = [at for at, letter in enumerate(text) if letter != " " and (not at or text[at - 1] == " ")]
    nexts = [*(starts.get(place) for place in places[1:]), len(said) / rate]
    ends: list[float | None] = []
    for begins in nexts:
        last = 0 if begins is None else int(np.searchsorted(loud, round(begins * rate), side="right"))
        ends.append(float(loud[last - 1]) / rate if last else None)
    return tuple(ends)


class Espeak:
    """One process has one espeak-ng: its state is global."""

    name = "espeak"
    voices = tuple(f"{accent}+{variant}" for accent in ACCENTS for variant in VARIANTS)
    warps = False

    def __init__(self, library: Path, folder: Path) -> None:
        """library: the shared library; folder: where espeak-ng-data lies. Raises RuntimeError without voices."""
        self._library = ctypes.CDLL(str(library))
        self.rate = self._library.espeak_Initialize(RETRIEVED, 0, str(folder).encode(), 0)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng finds no voices in {folder}")
        self._parts: list[NDArray[np.int16]] = []
        self.starts: dict[int, float] = {}  # of the last text's words: seconds by the place of the first letter
        take = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
        self._callback = take(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said]:
        """What is said for each text, with the ends of its words."""
        for text, manner in asked:
            pitch = USUAL_PITCH + np.log(manner.pitch) / np.log(PITCH_STEP)
            wide = round(USUAL_RANGE * manner.range)
            samples = self.said(text, manner.voice, round(USUAL_RATE * manner.speed), round(pitch), wide)
            yield Said(samples, self.rate, word_ends(text, self.starts, samples, self.rate))

    def said(self, text: str, voice: str, rate: int, pitch: int, wide: int = USUAL_RANGE) -> Samples:
        """Samples of a text, -1 to 1. rate: words a minute; pitch and its range: 0 to 100."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((RATE_PARAMETER, rate), (PITCH_PARAMETER, pitch), (RANGE_PARAMETER, wide)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._parts, self.starts = [], {}
        data = text.encode() + b"\0"
        self._library.espeak_ng_SetRandSeed(
            ctypes.c_long(crc32(data))
        )  # of the breath in voices; else that of the clock
        self._library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        samples: Samples = np.concatenate([np.zeros(0, np.int16), *self._parts]) / np.float32(32768)
        return samples

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[Event]) -> int:
        for event in takewhile(lambda each: each.type != NO_EVENT, (events[at] for at in itertools.count())):
            if event.type == WORD_EVENT:
                self.starts[event.text_position - 1] = event.audio_position / 1000
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0
