"""examples/speech: manifests of all kinds become one row of samples; what is wrong with them is said with its place."""

from __future__ import annotations

import gzip
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from mctc.audio import load_audio
from mctc.score.errors import ManifestError
from speech.batches import MicroBatch, Step
from speech.manifests import DataError, Spoken, read_spoken, tokens_of
from speech.sound import Sound

RATE = 16_000
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV of two seconds, the same in FLAC, one of 8 kHz and two channels, and letters as tokens."""
    folder = tmp_path_factory.mktemp("sound")
    samples = np.random.default_rng(0).integers(-9_000, 9_000, 2 * RATE).astype("<i2")
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    soundfile.write(folder / "a.flac", samples, RATE)
    soundfile.write(folder / "stereo.wav", np.stack([samples[:8_000], samples[8_000:16_000]], 1), 8_000)
    (folder / "letters.txt").write_text("\n".join("\N{LOWER ONE EIGHTH BLOCK}abc"))
    return folder


def nemo(folder: Path, *entries: dict[str, Any]) -> str:
    path = folder / "manifest.jsonl"
    lines = [{"id": str(at), "audio_filepath": "a.wav", "text": "a", **entry} for at, entry in enumerate(entries)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def lhotse(folder: Path) -> str:
    recording = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "sampling_rate": RATE}
    cut = {"id": "c", "type": "MonoCut", "start": 0.5, "duration": 1.0, "channel": 0, "recording": recording}
    path = folder / "cuts.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({**cut, "supervisions": [{"text": "ab c"}]}).encode()))
    return str(path)


def kaldi(folder: Path) -> str:
    data = folder / "kaldi"
    data.mkdir(exist_ok=True)
    (data / "wav.scp").write_text(f"r {folder}/a.wav\n")
    (data / "segments").write_text("c r 0.5 1.5\n")
    (data / "text").write_text("c ab c\n")
    return str(data)


def spoken(folder: Path, *manifests: str) -> Spoken:
    return read_spoken(manifests, tokens_of(str(folder / "letters.txt")), RATE)


def whole(path: Path) -> np.ndarray:
    return np.rint(load_audio(path) * 32768).astype(np.int16)


@pytest.mark.parametrize(
    "manifest",
    [lambda folder: nemo(folder, {"text": "ab c", "offset": 0.5, "duration": 1.0}), lhotse, kaldi],
    ids=["nemo", "lhotse", "kaldi"],
)
def test_every_kind_of_manifest_gives_the_same_piece(folder: Path, manifest: Callable[[Path], str]) -> None:
    found = spoken(folder, manifest(folder))
    sound = Sound(found, CPU)
    assert [list(each) for each in found.labels] == [[2, 3, 1, 4]]
    assert np.array_equal(sound.samples[:RATE].numpy(), whole(folder / "a.wav")[8_000:24_000])


def test_sound_that_is_no_plain_wav_is_read_and_resampled(folder: Path) -> None:
    entries = ({"audio_filepath": "a.flac"}, {"audio_filepath": "stereo.wav", "duration": 0.5}, {"offset": 1.5})
    sound = Sound(spoken(folder, nemo(folder, *entries)), CPU)
    cut = sound.cut(torch.tensor([2, 0, 1]), 2 * RATE, 3)
    assert cut.lengths.tolist() == [8_000, 2 * RATE, 8_000]
    assert np.array_equal(cut.samples[1].numpy(), whole(folder / "a.wav"))
    assert np.array_equal(cut.samples[0, :8_000].numpy(), whole(folder / "a.wav")[24_000:])
    assert not cut.samples[0, 8_000:].any()
    inner = slice(7_000)  # where the piece ends, resampling knows no more of the sound
    assert np.abs(cut.samples[2, inner].numpy() - whole(folder / "stereo.wav")[inner]).max() <= 1
    assert cut.labels.tolist() == [[2, 0, 0]] * 3


def test_a_file_holds_the_same_and_is_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = spoken(folder, nemo(folder, {}, {"offset": 0.25}))
    file = tmp_path / "cache" / "sound.i16"
    assert torch.equal(Sound(found, CPU, file).samples, Sound(found, CPU).samples)
    monkeypatch.setattr(Sound, "_fill", lambda _: pytest.fail("it was read again"))
    again = Sound(found, CPU, file)
    step = Step(0, 0, tuple(MicroBatch(at, np.array([at]), RATE, 2) for at in range(2)), 2, 2, 1.0)
    batches = list(again.batches([step] * 9, slice(1, None, 2), torch.device("meta")))
    assert [len(cuts) for _, cuts in batches] == [1] * 9
    assert batches[0][1][0].samples.shape == (1, RATE)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"audio_filepath": "none.wav"}, "manifest.jsonl:1: {folder}/none.wav: there is no such file"),
        ({"duration": 2.5}, "manifest.jsonl:1: {folder}/a.wav has 2.00 s, the utterance is 0 to 2.5 s of it"),
        ({"text": "abz"}, "manifest.jsonl:1: no token spells 'z' of 'abz'"),
    ],
    ids=["missing", "short", "unspelled"],
)
def test_what_is_wrong_with_an_utterance_is_said_with_its_place(folder: Path, entry: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError) as error:
        spoken(folder, nemo(folder, entry))
    assert told.format(folder=folder) in str(error.value)


def test_a_missing_manifest_is_an_error(folder: Path) -> None:
    with pytest.raises(ManifestError, match="there is no such file or folder"):
        spoken(folder, str(folder / "nothing.jsonl"))


def test_word_pieces_refuse_what_they_know_only_as_unknown(folder: Path) -> None:
    from click.testing import CliRunner

    from speech.pieces import main

    texts = [{"text": text} for text in ("a cab", "a bac", "cab cab", "b", "c")]
    model = folder / "pieces.model"
    result = CliRunner().invoke(main, [nemo(folder, *texts), "-o", str(model), "--size", "7"])
    assert result.exit_code == 0, result.output
    tokens = tokens_of(str(model))
    assert tokens.size == 8
    assert tokens.text(tokens.encode("a cab")).strip() == "a cab"
    with pytest.raises(DataError, match="no token spells all of 'a dab'"):
        read_spoken([nemo(folder, {"text": "a dab"})], tokens, RATE)
