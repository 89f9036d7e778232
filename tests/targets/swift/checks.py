"""What an emitted package is held to: each check compares a program that Swift compiled with mctc itself, and raises
AssertionError where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from mctc.audio import bundled_recording, load_audio, log_mel
from mctc.decode.endpoint import Endpointer
from mctc.decode.hotwords import Hotwords, Phrase
from mctc.decode.settings import Settings
from mctc.runtime.built import open_built
from mctc.runtime.recognition import RECORDED
from mctc.runtime.searched import recogniser
from mctc.runtime.speech import listen
from mctc.runtime.stream import SpeechStream
from mctc.transcript.words import words_of
from tests.targets.swift.toy import METHODS, random_case
from tests.targets.swift.workspace import Workspace

Sound = NDArray[np.float32]
RATE = 16_000
SECONDS, CASES = 10, 40
"""Of each kind of sound, and of each kind of search; a hundred times as much was compared once (docs/swift.md)."""


@dataclass(frozen=True)
class Proof:
    """A compiled workspace, builds for swift that its tool can hear with, and a folder for files."""

    workspace: Workspace
    trained: Path
    ahead: Path
    folder: Path


def sounds(seconds: float) -> Iterator[Sound]:
    """Speech, noise of several levels, tones, clicks and silence at 16 kHz, none of whole hops."""
    random, count = np.random.default_rng(1), int(seconds * RATE) + 77
    time = np.arange(count) / RATE
    loudness = 10.0 ** random.uniform(-5, -0.5, int(seconds) + 2).repeat(RATE)[:count]
    sweep = np.sin(2 * np.pi * (100 + 3000 * time / seconds) * time)
    yield np.resize(load_audio(bundled_recording()), count)
    yield (random.standard_normal(count) * loudness).astype(np.float32)
    yield (0.4 * np.sin(2 * np.pi * 1000 * time) + 0.3 * sweep).astype(np.float32)
    yield ((random.random(count) < 0.001) * random.standard_normal(count)).astype(np.float32).clip(-1, 1)
    yield np.zeros(count, np.float32)


def frames(proof: Proof, seconds: float = SECONDS) -> int:
    """Frames of pieces of random length are those of training to the last bit of half precision; how many numbers."""
    given, made, compared = proof.folder / "samples", proof.folder / "frames", 0
    described = str(proof.workspace.model / "model.json")
    for seed, sound in enumerate(sounds(seconds)):
        sound.tofile(given)
        proof.workspace.run("proof", "frames", described, str(given), str(seed), str(made))
        found, expected = np.fromfile(made, np.float32), log_mel(sound).ravel()
        assert found.size == expected.size
        differ = int((found.astype(np.float16) != expected.astype(np.float16)).sum())
        assert not differ, f"{differ} of {found.size} numbers differ"
        compared += found.size
    return compared


def searches(proof: Proof, cases: int = CASES) -> None:
    """Searches over random toy models find the labels, frames and final parts that mctc.decode finds."""
    drawn = [random_case(kind, seed) for kind in METHODS for seed in range(cases)]
    (proof.folder / "cases.json").write_text(json.dumps([case.written() for case in drawn]))
    answers = proof.workspace.run("proof", "search", str(proof.folder / "cases.json")).splitlines()
    for case, line in zip(drawn, answers, strict=True):
        answer, expected = json.loads(line), case.searched(proof.folder)
        assert answer["finals"] == expected["finals"], case.settings
        assert _labels(answer) == _labels(expected), case.settings
        np.testing.assert_allclose(_numbers(answer), _numbers(expected), atol=1e-9)


def _labels(told: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    return [(found["ids"], found["frames"]) for found in told["found"]]


def _numbers(told: dict[str, Any]) -> list[float]:
    return [number for found in told["found"] for number in (*found["confidences"], found["score"])]


def recording(proof: Proof) -> None:
    """A recording is heard, greedily, as by `mctc run`."""
    _heard_alike(proof, proof.trained, "start", Settings(), ())


def beam(proof: Proof) -> None:
    """The same with the beam of one label a frame."""
    _heard_alike(proof, proof.trained, "start", Settings(method="beam"), ("--search", "beam"))


def several(proof: Proof) -> None:
    """The same with the beam of several labels a frame, and a hotword."""
    options = ("--search", "time-synchronous", "--window", "6", "--hotword", "he", "--boost", "3")
    _heard_alike(proof, proof.trained, "start", Settings(method="time-synchronous", window=6.0), options, "he")


def ahead(proof: Proof) -> None:
    """The same of a model whose encoder looks ahead, of recordings that end with a chunk and within one."""
    for name in ("chunks", "start"):
        _heard_alike(proof, proof.ahead, name, Settings(), ())


def pause(proof: Proof) -> None:
    """The same of a recording of two utterances."""
    _heard_alike(proof, proof.trained, "pause", Settings(), ())


def together(proof: Proof) -> None:
    """Two recognizers at once, and one behind a reset, hear what each alone hears."""
    places = [proof.folder / name for name in ("one", "other")]
    load_audio(bundled_recording())[: 2 * RATE].tofile(places[0])
    load_audio(bundled_recording())[3 * RATE : 5 * RATE].tofile(places[1])
    model, cache = str(proof.workspace.model), str(proof.folder / "cache")
    told = proof.workspace.run("proof", "together", model, cache, *map(str, places))
    assert told.startswith("labels"), told


def buffers(proof: Proof) -> None:
    """Buffers of an audio device, one after another, become the samples that all of them at once become."""
    assert proof.workspace.run("proof", "buffers") == "equal\n"


CHECKS: Mapping[str, Callable[[Proof], object]] = {
    each.__name__: each for each in (frames, searches, recording, beam, several, ahead, pause, together, buffers)
}


def sound_of(name: str) -> Sound:
    """Four seconds of speech that end within a hop, two that are whole chunks, or two pieces with silence between
    them."""
    speech = load_audio(bundled_recording())
    if name == "chunks":
        return speech[: 2 * RATE - 1280]
    if name == "start":
        return speech[: 4 * RATE + 77]
    return np.concatenate([speech[: 2 * RATE], np.zeros(2 * RATE, np.float32), speech[2 * RATE : 3 * RATE]])


def _heard_alike(
    proof: Proof, build: Path, name: str, settings: Settings, options: tuple[str, ...], hotword: str | None = None
) -> None:
    path = proof.folder / f"{name}.wav"
    sf.write(path, sound_of(name), RATE, subtype="FLOAT")
    (model,) = build.glob("*/Sources/*/Model")
    workspace = replace(proof.workspace, model=model)
    (record,) = workspace.transcribe([path], proof.folder / "cache", *options)
    found = {**record, "seconds": record["seconds"]["audio"]}
    found.pop("audio")
    assert found == expected(build, name, settings, hotword)


@lru_cache
def expected(build: Path, name: str, settings: Settings, hotword: str | None = None) -> dict[str, Any]:
    """The record of the emitted tool, by mctc's own runtime; `seconds` are those of audio that were heard."""
    return record_of(build, sound_of(name), settings, hotword)


def record_of(build: Path, sound: Sound, settings: Settings, hotword: str | None = None) -> dict[str, Any]:
    """The same of any sound."""
    built = open_built(build)
    model, tokens = recogniser(built), built.tokens
    scorers = []
    if hotword is not None and tokens is not None:
        ids = tuple(replace(tokens, spelling=None).encode(hotword))  # the longest pieces from the left, as the runtime
        scorers = [Hotwords([Phrase(ids, 3.0)], model.vocabulary.size)]
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


def _near(number: float) -> Any:
    return pytest.approx(number, abs=1e-9)
