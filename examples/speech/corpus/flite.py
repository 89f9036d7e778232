"""flite by its C interface (flite.h): Debian's libflite1, whose voices are libraries of their own."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpus.sound import Said
from corpus.voice import Manner

# In the order of their needs: a library that is loaded already is not looked for where the system keeps its own.
LIBRARIES = ("libasound.so.2", "libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1")
VOICE = "libflite_cmu_us_{}.so.1"


@dataclass(frozen=True)
class Pitch:
    """Mean and deviation of a voice's pitch, in Hz."""

    mean: float
    deviation: float


PITCHES = {"kal16": Pitch(100, 15), "awb": Pitch(128, 14), "rms": Pitch(103, 12), "slt": Pitch(168, 12)}


class Wave(ctypes.Structure):
    """cst_wave of cst_wave.h."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate", ctypes.c_int),
        ("count", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class Voice(ctypes.Structure):
    """The first fields of cst_voice of cst_voice.h."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class Flite:
    """flite's four American voices at 16 kHz: a diphone voice and three of CMU Arctic's speakers."""

    name = "flite"
    voices = tuple(PITCHES)
    warps = True

    def __init__(self, folder: Path) -> None:
        """folder: where the libraries lie."""
        self._folder = folder
        for name in LIBRARIES:
            self._load(name)
        self._library = self._load("libflite.so.1")
        self._library.flite_text_to_wave.restype = ctypes.POINTER(Wave)
        self._library.flite_text_to_wave.argtypes = (ctypes.c_char_p, ctypes.POINTER(Voice))
        self._library.flite_feat_set_float.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float)
        self._library.delete_wave.argtypes = (ctypes.POINTER(Wave),)
        self._library.flite_init()
        self._opened: dict[str, Any] = {}

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said]:
        for text, manner in asked:
            voice, pitch = self._voice(manner.voice), PITCHES[manner.voice]
            features = {
                "duration_stretch": 1 / manner.speed,
                "int_f0_target_mean": pitch.mean * manner.pitch,
                "int_f0_target_stddev": pitch.deviation * manner.pitch * manner.range,
            }
            for name, value in features.items():
                self._library.flite_feat_set_float(voice[0].features, name.encode(), value)
            found = self._library.flite_text_to_wave(text.encode(), voice)
            samples = np.ctypeslib.as_array(found[0].samples, (found[0].count,)) / np.float32(32768)
            rate = int(found[0].rate)
            self._library.delete_wave(found)
            yield Said(samples, rate)

    def opened(self, voice: str) -> tuple[ctypes.CDLL, Any]:
        """The library, and the pointer to a voice that its functions take."""
        return self._library, self._voice(voice)

    def _voice(self, name: str) -> Any:
        if name not in self._opened:
            register = self._load(VOICE.format(name))[f"register_cmu_us_{name}"]
            register.restype, register.argtypes = ctypes.POINTER(Voice), (ctypes.c_void_p,)
            self._opened[name] = register(None)
        return self._opened[name]

    def _load(self, name: str) -> ctypes.CDLL:
        return ctypes.CDLL(str(self._folder / name), mode=ctypes.RTLD_GLOBAL)
