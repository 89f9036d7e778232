"""Sentences and names that nobody said, spoken by espeak-ng: the wheel espeakng-loader brings library and voices.

What is measured with them is a search, by the same frames and references for every setting.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
RETRIEVED, UTF8 = 2, 1  # espeak-ng's names for: synchronous, through a callback; texts in UTF-8
RATE_PARAMETER, PITCH_PARAMETER = 1, 3
NO_EVENT, WORD_EVENT = 0, 1
EDGE_S = 0.3  # of silence at either end
QUIET = 0.01  # of full scale: what is less at the end is no word any more
ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = ("m1", "m3", "m7", "f2", "f4")

Samples = NDArray[np.float32]

SLOTS = {
    "who": "the captain|my older brother|our teacher|the young doctor|a farmer|the old woman|every student|"
    "the driver|her uncle|the judge|a stranger|the baker|nobody in the village|the whole family",
    "did": "found|carried|forgot|bought|remembered|lost|painted|repaired|watched|described|sold|opened|hid|followed",
    "what": "the green boat|a heavy box|the last letter|his new coat|an empty bottle|the broken window|their map|"
    "a small garden|the silver coin|the kitchen table|a basket of apples|the long story|that horse|the north gate",
    "where": "in the market|near the river|behind the church|on the hill|at the station|under the bridge|"
    "beside the road|in the library|at home|across the valley|in front of the house|by the sea",
    "when": "yesterday morning|before the war|last winter|after supper|on a cold night|during the storm|at noon|"
    "every evening|when the rain had stopped|long ago|in the middle of summer|as soon as he arrived",
    "why": "because the weather was bad|to please the children|without saying a word|for no good reason|"
    "although it was late|and then went to sleep|so that everyone could see it|while the others were talking",
}
FORMS = (
    "{who} {did} {what} {where}",
    "{when} {who} {did} {what}",
    "{who} {did} {what} {when} {why}",
    "{where} {who} {did} {what} {why}",
    "{when} {who} and {who} {did} {what} {where}",
)
ASKING = (
    "please call {name} {when}",
    "{who} met {name} {where}",
    "{name} {did} {what} {where}",
    "{when} {name} {did} {what}",
    "the letter from {name} was lost {when}",
)
BEGINNINGS = "bar|cor|dal|fen|gar|hal|jor|kel|lan|mor|nor|pel|quin|ros|sel|tar|ul|var|wen|yar"
MIDDLES = "a|e|i|o|an|el|in|or|ima|ola"
ENDINGS = "bert|dova|field|gren|hart|kin|lund|mere|nova|rick|sson|ston|thwaite|vale|wick"


@dataclass(frozen=True)
class Spoken:
    """A sentence in lower-case letters, as samples at 16 kHz, and the rare name in it if there is one.

    ends: seconds where each of its words ends; None where espeak-ng joins it to the next one.
    """

    text: str
    samples: Samples
    name: str = ""
    ends: tuple[float | None, ...] = ()


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


def sentences(count: int, seed: int) -> list[str]:
    """Different sentences by a grammar."""
    rng, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        found[filled(str(rng.choice(FORMS)), rng)] = None
    return list(found)


def names(count: int, seed: int) -> list[str]:
    """Different names that are no words."""
    rng, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        found["".join(str(rng.choice(part.split("|"))) for part in (BEGINNINGS, MIDDLES, ENDINGS))] = None
    return list(found)


def asking_for(known: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """A sentence with each name, and the name."""
    rng = np.random.default_rng(seed)
    return [(filled(str(rng.choice(ASKING)).replace("{name}", name), rng), name) for name in known]


def filled(form: str, rng: np.random.Generator) -> str:
    """A form with a word in each slot."""
    for slot, words in SLOTS.items():
        while f"{{{slot}}}" in form:
            form = form.replace(f"{{{slot}}}", str(rng.choice(words.split("|"))), 1)
    return form


def spoken(texts: Sequence[tuple[str, str]], seed: int) -> Iterator[Spoken]:
    """Texts, with the name in each or '', in voices, rates and pitches that are drawn, with a little noise."""
    import soxr

    rng = np.random.default_rng(seed)
    for text, name in texts:
        voice = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
        library = _Library.opened()
        said, rate = library.speak(text, voice, int(rng.integers(150, 190)), int(rng.integers(35, 65)))
        samples = np.pad(soxr.resample(said, rate, RATE), round(EDGE_S * RATE))
        noise = rng.normal(size=samples.size) * 10 ** (-rng.uniform(45, 60) / 20)
        ends = word_ends(text, library.starts, said, rate)
        yield Spoken(text, (0.5 * samples / np.abs(samples).max() + noise).astype(np.float32), name, ends)


def word_ends(text: str, starts: Mapping[int, float], said: NDArray[np.float32], rate: int) -> tuple[float | None, ...]:
    """Seconds where each word ends, with the silence in front: where the next one begins, or the sound ends.

    starts: seconds in `said`, by the place of the word's first letter in the text, from 0.
    """
    places = [at for at, letter in enumerate(text) if letter != " " and (not at or text[at - 1] == " ")]
    last = np.flatnonzero(np.abs(said) > QUIET)
    ends = [starts.get(place) for place in places[1:]] + [(float(last[-1]) + 1) / rate if last.size else None]
    return tuple(None if end is None else EDGE_S + end for end in ends)


def installed() -> bool:
    """Whether there is anything that speaks."""
    return find_spec("espeakng_loader") is not None


class _Library:
    """espeak-ng by its C interface (speak_lib.h)."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        folder = Path(espeakng_loader.get_data_path()).parent
        self.rate = self._library.espeak_Initialize(RETRIEVED, 0, str(folder).encode(), 0)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng finds no voices in {folder}")
        self._parts: list[NDArray[np.int16]] = []
        self.starts: dict[int, float] = {}  # of the last text's words: seconds by the place of the first letter
        take = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
        self._callback = take(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    @staticmethod
    @cache
    def opened() -> _Library:
        return _Library()

    def speak(self, text: str, voice: str, rate: int, pitch: int) -> tuple[NDArray[np.float32], int]:
        """Samples of a text, -1 to 1, and how many there are a second. rate: words a minute; pitch: 0 to 100."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(RATE_PARAMETER, rate, 0)
        self._library.espeak_SetParameter(PITCH_PARAMETER, pitch, 0)
        self._parts, self.starts = [], {}
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.concatenate(self._parts) / np.float32(32768), int(self.rate)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[Event]) -> int:
        for event in takewhile(lambda each: each.type != NO_EVENT, (events[at] for at in itertools.count())):
            if event.type == WORD_EVENT:
                self.starts[event.text_position - 1] = event.audio_position / 1000
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0
