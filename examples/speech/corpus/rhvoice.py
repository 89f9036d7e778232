"""RHVoice by its C interface (RHVoice.h): voices made of parameters of frames, of speakers of CMU Arctic."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from corpus.sound import Said, of_pcm
from corpus.voice import Manner

LIBRARY, DATA = "libRHVoice.so", "data"
LANGUAGE, MODEL = "languages/English", "24000/voice.data"
VOICE = ("voice.*", MODEL, "24000/bpf.txt", "README.md", "license")  # of a voice's folder
PLAIN_TEXT, ANY_RATE = 0, 1  # RHVoice_message_text; RHVoice_synth_flag_dont_clip_rate
SET_RATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
PLAY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p)


def files(folder: Path) -> Iterator[Path]:
    """What speaking needs of a folder, and the licences."""
    known = [f"{DATA}/voices/{name}/{path}" for name in RHVoice.voices for path in VOICE]
    for pattern in (LIBRARY, "LICENSE.md", f"{DATA}/{LANGUAGE}/*", *known):
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())


def refuse_incomplete(folder: Path) -> None:
    """Raises FileNotFoundError, with all that is missing, where the library, the language or a voice is not there."""
    voices = [f"{DATA}/voices/{name}/{path}" for name in RHVoice.voices for path in ("voice.info", MODEL)]
    needed = (LIBRARY, f"{DATA}/{LANGUAGE}/language.info", *voices)
    if missing := [path for path in needed if not (folder / path).is_file()]:
        raise FileNotFoundError(f"{folder} has no {', '.join(missing)} (examples/speech/corpus/README.md, RHVoice)")


class Callbacks(ctypes.Structure):
    """RHVoice_callbacks; those that are not needed are null."""

    _fields_ = (
        ("set_sample_rate", SET_RATE),
        ("play_speech", PLAY),
        *((name, ctypes.c_void_p) for name in ("process_mark", "word_starts", "word_ends", "sentence_starts")),
        *((name, ctypes.c_void_p) for name in ("sentence_ends", "play_audio", "done")),
    )


class Parameters(ctypes.Structure):
    """RHVoice_init_params."""

    _fields_ = (
        ("data_path", ctypes.c_char_p),
        ("config_path", ctypes.c_char_p),
        ("resource_paths", ctypes.c_void_p),
        ("callbacks", Callbacks),
        ("options", ctypes.c_uint),
    )


class Synthesis(ctypes.Structure):
    """RHVoice_synth_params."""

    _fields_ = (
        ("voice_profile", ctypes.c_char_p),
        *((f"absolute_{name}", ctypes.c_double) for name in ("rate", "pitch", "volume")),
        *((f"relative_{name}", ctypes.c_double) for name in ("rate", "pitch", "volume")),
        ("punctuation_mode", ctypes.c_int),
        ("punctuation_list", ctypes.c_char_p),
        ("capitals_mode", ctypes.c_int),
        ("flags", ctypes.c_int),
    )


class RHVoice:
    """An American man and woman and an Indian man at 24 kHz, none of whom another engine has."""

    name = "rhvoice"
    voices: tuple[str, ...] = ("bdl", "clb", "ksp")
    warps = True

    def __init__(self, folder: Path) -> None:
        """folder: where the library lies, and the folder of its data. Raises RuntimeError without data."""
        self._rate, self._heard = 0, list[bytes]()
        self._library = ctypes.CDLL(str(folder / LIBRARY))
        self._library.RHVoice_new_tts_engine.restype = ctypes.c_void_p
        self._library.RHVoice_new_message.restype = ctypes.c_void_p
        self._library.RHVoice_new_message.argtypes = (
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_int, ctypes.POINTER(Synthesis), ctypes.c_void_p
        )  # fmt: skip
        for each in (self._library.RHVoice_speak, self._library.RHVoice_delete_message):
            each.argtypes = (ctypes.c_void_p,)
        self._callbacks = Callbacks(SET_RATE(self._at), PLAY(self._taken))  # kept: the library calls them later
        data = str(folder / DATA).encode()
        self._engine = self._library.RHVoice_new_tts_engine(ctypes.byref(Parameters(data, data, None, self._callbacks)))
        if not self._engine:
            raise RuntimeError(f"RHVoice finds no language and voice in {folder / DATA}")

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said | None]:
        for text, manner in asked:
            said = Synthesis(manner.voice.capitalize().encode(), 0, 0, 0, manner.speed, manner.pitch, 1, flags=ANY_RATE)
            told = text.encode()
            self._heard.clear()
            message = self._library.RHVoice_new_message(
                self._engine, told, len(told), PLAIN_TEXT, ctypes.byref(said), None
            )
            spoke = message and self._library.RHVoice_speak(message)
            self._library.RHVoice_delete_message(message)
            samples = of_pcm(b"".join(self._heard))
            yield Said(samples, self._rate) if spoke and np.any(samples) else None

    def _at(self, rate: int, _: object) -> int:
        self._rate = rate
        return 1

    def _taken(self, audio: int, count: int, _: object) -> int:
        self._heard.append(ctypes.string_at(audio, count * ctypes.sizeof(ctypes.c_short)))
        return 1
