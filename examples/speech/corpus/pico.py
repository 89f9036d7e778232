"""SVOX Pico by the C interface of its port in the wheel of `ttspico` (tts_engine.h)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from corpus.sound import RATE, Said, of_pcm
from corpus.voice import Manner

LIBRARY, LANGUAGES = "libpico.so", "languages"
DATA = "en-*.bin"  # of the languages
PERCENT = 100  # the usual speed and pitch
MARKUP = str.maketrans("<>&", "   ")  # what the port takes for tags of its own
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32,
    ctypes.c_bool,
)  # fmt: skip


class Pico:
    """Pico's American and British women at 16 kHz, made of parameters of frames."""

    name = "pico"
    voices: tuple[str, ...] = ("en-US", "en-GB")
    warps = True

    def __init__(self, folder: Path) -> None:
        """folder: where the library lies, and the folder of its languages."""
        self._languages, self._heard = str(folder / LANGUAGES) + "/", list[bytes]()
        self._library = ctypes.CDLL(str(folder / LIBRARY))
        self._library.TtsEngine_Create.restype = ctypes.c_void_p
        self._library.TtsEngine_Create.argtypes = (ctypes.c_char_p, ctypes.c_char_p, CALLBACK)
        self._library.TtsEngine_Speak.restype = ctypes.c_bool
        self._library.TtsEngine_Speak.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        for each in (self._library.TtsEngine_SetRate, self._library.TtsEngine_SetPitch):
            each.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._take = CALLBACK(self._taken)  # kept: the library calls it later
        self._opened: dict[str, int] = {}

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said | None]:
        for text, manner in asked:
            voice = self._voice(manner.voice)
            self._library.TtsEngine_SetRate(voice, round(PERCENT * manner.speed))
            self._library.TtsEngine_SetPitch(voice, round(PERCENT * manner.pitch))
            self._heard.clear()
            spoke = self._library.TtsEngine_Speak(voice, text.translate(MARKUP).encode(), None)
            samples = of_pcm(b"".join(self._heard))
            yield Said(samples, RATE) if spoke and np.any(samples) else None

    def _voice(self, name: str) -> int:
        if name not in self._opened:
            voice = self._library.TtsEngine_Create(self._languages.encode(), name.encode(), self._take)
            if not voice:
                raise RuntimeError(f"pico has no voice {name} in {self._languages}")
            self._opened[name] = voice
        return self._opened[name]

    def _taken(
        self, _: object, rate: int, bits: int, channels: int, audio: int | None, count: int, final: bool
    ) -> bool:
        if audio and count:
            self._heard.append(ctypes.string_at(audio, count))
        return True
