"""Recordings through builds that give numbers for each frame, or sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio import load_audio
from mctc.driver import BuildOptions, build
from mctc.runtime.built import open_built
from mctc.runtime.framed import frames_over, framing

LOUD = """
model loud {
    dim B: batch
    dim T: time @ 50 Hz
    component level(samples: f32[B, T, 320]) -> power: f32[B, T, 2] {
        power = reduce_mean(samples ** 2, "channel")
        return concat(power, delay(power))
    }
    audio { rate = 16 kHz }
    stream { chunk = 100 ms }
}
"""
LATE = """
model late {
    dim B: batch
    dim T: time @ 16 kHz
    component c(samples: f32[B, T, 1]) -> later: f32[B, T, 1] { return 0.5 * (samples + ahead(samples, 40)) }
    audio { rate = 16 kHz }
    stream { chunk = 40 ms }
}
"""


def built(text: str, folder: Path) -> Path:
    (folder / "m.mct").write_text(text)
    return build(folder / "m.mct", folder / "out", BuildOptions()).folder


def test_numbers_of_each_frame_are_those_of_the_recording(mctc: Any, speech: Path, tmp_path: Path) -> None:
    folder = built(LOUD, tmp_path)
    samples = load_audio(speech)
    frames = -(-samples.size // 320)
    wanted = (np.pad(samples, (0, frames * 320 - samples.size)).reshape(-1, 320) ** 2).mean(axis=1)
    found = frames_over(open_built(folder), speech, "fp32")
    assert (found.name, found.rate, found.sound_rate) == ("power", 50, None)
    np.testing.assert_allclose(found.frames, np.stack([wanted, [0, *wanted[:-1]]], axis=1), atol=1e-6)
    told = json.loads(mctc("run", folder, speech, "--json", "--arithmetic", "fp32").stdout)
    np.testing.assert_allclose(told["results"]["power"], found.frames, atol=1e-7)
    assert told["frame_s"] == 0.02
    lines = mctc("run", folder, speech).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines[:3]] == ["0.000", "0.020", "0.040"]


def test_sound_is_as_long_as_the_recording_and_on_time(mctc: Any, speech: Path, tmp_path: Path) -> None:
    folder, out = built(LATE, tmp_path), tmp_path / "later.wav"
    refused = mctc("run", folder, speech)
    assert "--output FILE.wav" in refused.stderr
    mctc("run", folder, speech, "--output", out, "--arithmetic", "fp32")
    samples, made = load_audio(speech), load_audio(out)
    np.testing.assert_allclose(made, 0.5 * (samples + np.pad(samples[40:], (0, 40))), atol=1e-6)


def test_a_recogniser_gives_no_numbers(small: Path) -> None:
    assert framing(open_built(small)) is None
    with pytest.raises(Exception, match="no function that hears"):
        frames_over(open_built(small), Path("x.wav"))
