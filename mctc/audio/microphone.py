"""Sound from a microphone, by the library sounddevice."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np

from mctc.audio.errors import AudioError
from mctc.audio.load import SAMPLE_RATE
from mctc.audio.sound import Float32

NAME = "<microphone>"
BLOCK_S = 0.05


def microphone(sample_rate: int = SAMPLE_RATE) -> Iterator[Float32]:
    """Blocks [samples] of floats in [-1, 1] of the default microphone, without an end.

    Raises `AudioError` where the library, or a microphone that gives this rate, is missing.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the library is there, PortAudio is not
        told = f"listening needs the package sounddevice ({error})"
        raise AudioError(NAME, told, "pip install 'mctc[mic]'; on Linux libportaudio2 too") from error
    heard: SimpleQueue[Float32] = SimpleQueue()

    def take(block: Any, *_: Any) -> None:
        heard.put(np.array(block[:, 0], np.float32))

    try:
        stream = sounddevice.InputStream(
            samplerate=sample_rate, channels=1, dtype="float32", blocksize=int(BLOCK_S * sample_rate), callback=take
        )
    except Exception as error:  # PortAudioError, and ValueError for a device that is none
        raise AudioError(
            NAME, f"no sound can be recorded ({error})", "connect a microphone and allow its use"
        ) from error
    with stream:
        while True:
            yield heard.get()
