"""What initial weights can't show: the shipped model keeps still where nobody speaks, and hears speech behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.audio import bundled_recording, bundled_text, load_audio
from mctc.cli.demo import model
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from mctc.runtime.built import open_built
from mctc.runtime.searched import Recogniser, recogniser
from mctc.runtime.speech import listen
from mctc.runtime.stream import Samples, SpeechStream
from mctc.score.alignment import words
from mctc.score.normalise import simple
from tests.conftest import ROOT

pytest.importorskip("onnxruntime")
pytest.importorskip("jiwer")
pytestmark = pytest.mark.slow  # the trained model
RATE, SILENT_S = 16_000, 40


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    spec, weights, tokens = model()
    options = BuildOptions(weights=weights, tokens=tokens, target="onnx")
    return recogniser(open_built(build(spec, tmp_path_factory.mktemp("trained") / "built", options).folder))


def heard(trained: Recogniser, samples: Samples) -> tuple[str, float]:
    """The text, and the largest number in the encoder's state at the end."""
    stream, tokens = SpeechStream(trained, Settings()), trained.built.tokens
    assert tokens is not None
    found = listen(stream, np.array_split(samples, 1 + len(samples) // stream.chunk_samples))
    largest = max(np.abs(each).max() for each in stream.encoder.step.states().values())
    return " ".join(tokens.text(best.ids) for best in found.best), float(largest)


QUIET = {
    "digital silence": np.zeros(SILENT_S * RATE),
    "the last bit": np.random.default_rng(0).integers(-1, 2, SILENT_S * RATE) / 2**15,
    "a tone of full scale": np.sin(2 * np.pi * 1000 * np.arange(SILENT_S * RATE) / RATE),
    "clicks": (np.arange(SILENT_S * RATE) % RATE == 0) * 1.0,
}


@pytest.mark.parametrize("sound", QUIET)
def test_next_to_nothing_is_heard_where_nobody_speaks_and_states_stay_small(trained: Recogniser, sound: str) -> None:
    spoken = heard(trained, load_audio(bundled_recording()))[1]
    once, twice = (np.tile(QUIET[sound], times).astype(np.float32) for times in (1, 2))
    (text, largest), (_, later) = heard(trained, once), heard(trained, twice)
    assert len(text.split()) <= SILENT_S // 10, text
    assert max(largest, later) < 4 * spoken  # a tone levels off at three times, whether 40 s or 160 s long


def test_speech_behind_a_long_silence_is_heard(trained: Recogniser) -> None:
    speech = load_audio(bundled_recording())
    behind = np.concatenate([np.zeros(SILENT_S * RATE, np.float32), speech])
    said = simple(bundled_text()).split()[-8:]
    late, alone = (np.array(heard(trained, sound)[0].split()[-8:]) == said for sound in (behind, speech))
    assert late.sum() >= max(7, alone.sum())


def test_the_tiny_model_hears_half_of_the_words(tmp_path: Path) -> None:
    shipped = ROOT / "spec/trained"
    options = BuildOptions(weights=shipped / "mct_tiny.safetensors", tokens=shipped / "pieces.model", target="onnx")
    tiny = recogniser(open_built(build(ROOT / "spec/mct_tiny.mct", tmp_path / "built", options).folder))
    text, _ = heard(tiny, load_audio(bundled_recording()))
    said = simple(bundled_text()).split()
    assert words(said, text.split())[0].errors < len(said) / 2
