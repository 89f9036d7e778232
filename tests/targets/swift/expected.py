"""What mctc's own runtime makes of a sound: what an emitted package has to make of it, too."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mctc.audio import bundled_recording, load_audio
from mctc.audio.front_end import frames_of
from mctc.decode.endpoint import Endpointer
from mctc.decode.hotwords import Hotwords, Phrase
from mctc.decode.settings import Settings
from mctc.runtime.built import open_built
from mctc.runtime.encoder import Encoder
from mctc.runtime.recognition import RECORDED
from mctc.runtime.searched import recogniser
from mctc.runtime.speech import listen
from mctc.runtime.step import Packages
from mctc.runtime.stream import SpeechStream
from mctc.transcript.words import words_of

Sound = NDArray[np.float32]
RATE = 16_000


def sound_of(name: str) -> Sound:
    """Four seconds of speech that end within a hop, two that are whole chunks, or two pieces with silence between
    them."""
    speech = load_audio(bundled_recording())
    if name == "chunks":
        return speech[: 2 * RATE - 1280]
    if name == "start":
        return speech[: 4 * RATE + 77]
    return np.concatenate([speech[: 2 * RATE], np.zeros(2 * RATE, np.float32), speech[2 * RATE : 3 * RATE]])


@lru_cache
def expected(build: Path, name: str, settings: Settings, hotword: str | None = None) -> dict[str, Any]:
    """The record of the emitted tool, by mctc's own runtime; `seconds` are those of audio that were heard."""
    return record_of(build, sound_of(name), settings, hotword)


def record_of(
    build: Path, sound: Sound, settings: Settings, hotword: str | None = None, chunk: Fraction | None = None
) -> dict[str, Any]:  # fmt: skip
    """The same of any sound. chunk: seconds of a call, the build's first if left out."""
    built = open_built(build)
    built = built if chunk is None else built.at(chunk)
    model, tokens = recogniser(built), built.tokens
    scorers = []
    if hotword is not None and tokens is not None:
        scorers = [Hotwords([Phrase(tuple(tokens.encode(hotword)), 3.0)], model.vocabulary.size)]
    stream = SpeechStream(model, settings, scorers)
    quiet = frozenset[int]() if tokens is None else tokens.white_space
    heard = listen(stream, [sound], None, Endpointer(stream.frame_s, RECORDED, quiet))
    said = heard.best
    words = [] if tokens is None else [word for best in said for word in words_of(tokens, best, stream.frame_s)]
    texts = [" ".join(map(str, best.ids)) if tokens is None else tokens.text(best.ids) for best in said]
    return {
        "text": " ".join(texts),
        "tokens": [
            {"token": token, "frame": frame, "confidence": pytest.approx(confidence, abs=1e-9)}
            for best in said
            for token, frame, confidence in zip(best.ids, best.frames, best.confidences)
        ],
        "words": [
            {
                "word": word.text,
                "start": _near(word.start),
                "end": _near(word.end),
                "confidence": _near(word.confidence),
            }
            for word in words
        ],
        "scores": [pytest.approx(best.score) for best in said],
        "frames": heard.frames,
        "seconds": _near(heard.audio_s),
    }


def encoded(build: Path, sound: Sound) -> Sound:
    """What the encoder of a build that streams makes of a sound, by mctc's own runtime: [frames, width]."""
    built = open_built(build)
    name = str(built.manifest["audio"]["function"])
    encoder = Encoder(Packages(built).step(name), exists=built.exists(name))
    assert built.front_end is not None
    given, rows = frames_of(sound, built.front_end), []
    for start in range(0, len(given), encoder.chunk):
        part = given[start : start + encoder.chunk]
        rows.append(encoder.push(np.pad(part, ((0, encoder.chunk - len(part)), (0, 0))), len(part)))
    return np.concatenate([*rows, encoder.finish()])


def _near(number: float) -> Any:
    return pytest.approx(number, abs=1e-9)
