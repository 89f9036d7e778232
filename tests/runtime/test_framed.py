"""Recordings through builds that give numbers for each frame, or sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

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


SOUNDS = '1 * samples, -0.5 * samples, slice(samples ** 2, "time", stride = 40)'
MEAN = 'gain * slice(reduce_mean(samples, "channel"), "time", stride = 2)'
TWO = """
model two {
    dim B: batch
    dim T: time @ 50 Hz
    param gain: f32[1] = 1
    component level(samples: f32[B, T, 320]) -> (power: f32[B, T, 1], mean: f32[B, T/2, 1]) {
        return ahead(reduce_mean(samples ** 2, "channel"), 3), MEAN
    }
    audio { rate = 16 kHz }
    stream { chunk = 80 ms }
}
""".replace("MEAN", MEAN)


def built(text: str, folder: Path) -> Path:
    (folder / "m.mct").write_text(text)
    return build(folder / "m.mct", folder / "out", BuildOptions()).folder


def test_numbers_of_each_frame_are_those_of_the_recording(mctc: Any, speech: Path, tmp_path: Path) -> None:
    folder = built(LOUD, tmp_path)
    samples = load_audio(speech)
    frames = -(-samples.size // 320)
    wanted = (np.pad(samples, (0, frames * 320 - samples.size)).reshape(-1, 320) ** 2).mean(axis=1)
    found = frames_over(open_built(folder), speech, "fp32")
    (power,) = found.series
    assert (power.name, power.rate, found.sound_rate) == ("power", 50, None)
    np.testing.assert_allclose(power.frames, np.stack([wanted, [0, *wanted[:-1]]], axis=1), atol=1e-6)
    told = json.loads(mctc("run", folder, speech, "--json", "--arithmetic", "fp32").stdout)
    np.testing.assert_allclose(told["results"]["power"], power.frames, atol=1e-7)
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


def test_sound_in_frames_is_as_long_as_the_recording_too(mctc: Any, tmp_path: Path) -> None:
    """The last frame, which the recording does not fill, is cut where that ends."""
    later = "later: f32[B, T, 320] { return 0.5 * samples }"
    text = LATE.replace("16 kHz\n", "50 Hz\n", 1).replace("[B, T, 1])", "[B, T, 320])")
    folder = built(text.replace(text[text.index("later:") : text.index("\n    audio")], later), tmp_path)
    rng = np.random.default_rng(0)
    lengths = (1, 319, 320, 321, 5000)
    for length in lengths:
        soundfile.write(tmp_path / f"{length}.wav", 0.5 * rng.uniform(-1, 1, length), 16_000, subtype="FLOAT")
    mctc(
        "run", folder, *(tmp_path / f"{n}.wav" for n in lengths), "--output", tmp_path / "made", "--arithmetic", "fp32"
    )
    for length in lengths:
        samples, made = load_audio(tmp_path / f"{length}.wav"), load_audio(tmp_path / "made" / f"{length}.wav")
        np.testing.assert_allclose(made, 0.5 * samples, atol=1e-6)


def test_several_sounds_are_a_file_each_and_numbers_are_told(mctc: Any, speech: Path, tmp_path: Path) -> None:
    text = LATE.replace("-> later: f32[B, T, 1]", "-> (near: f32[B, T, 1], far: f32[B, T, 1], power: f32[B, T/40, 1])")
    text = text.replace("0.5 * (samples + ahead(samples, 40))", SOUNDS)
    folder, out = built(text, tmp_path), tmp_path / "out.wav"
    done = mctc("run", folder, speech, "--output", out, "--arithmetic", "fp32")
    assert "without power: no sound" in done.stderr
    samples = load_audio(speech)
    np.testing.assert_allclose(load_audio(tmp_path / "out-near.wav"), samples, atol=1e-6)
    np.testing.assert_allclose(load_audio(tmp_path / "out-far.wav"), -0.5 * samples, atol=1e-6)
    assert not out.exists()
    told = json.loads(mctc("run", folder, speech, "--json").stdout)
    assert list(told["results"]) == ["near", "far", "power"]
    assert len(told["results"]["far"]) == samples.size
    refused = mctc("run", folder, speech, "--json", "--output", out)
    assert "--output FILE.json" in refused.stderr


def test_every_result_over_time_is_given_at_its_own_rate_and_delay(mctc: Any, speech: Path, tmp_path: Path) -> None:
    folder = built(TWO, tmp_path)
    done = mctc("run", folder, speech, "--arithmetic", "fp32")
    assert "numbers mean nothing" in " ".join(done.stderr.split())
    told = json.loads(mctc("run", folder, speech, "--json", "--arithmetic", "fp32").stdout)
    assert told["frames_s"] == {"power": 0.02, "mean": 0.04}
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows[:4]] == [
        ["0.000", "power"],
        ["0.000", "mean"],
        ["0.020", "power"],
        ["0.040", "power"],
    ]
    samples = load_audio(speech)
    frames = np.pad(samples, (0, -samples.size % 320)).reshape(-1, 320)
    power = np.array(told["results"]["power"])[:, 0]
    np.testing.assert_allclose(power, np.pad((frames[3:] ** 2).mean(1), (0, 3)), atol=1e-6)
    mean = np.array(told["results"]["mean"])[:, 0]
    np.testing.assert_allclose(mean, frames[::2].mean(1), atol=1e-6)
    assert mctc("run", folder, speech, "--quiet").stderr == ""


def test_a_result_that_is_no_frames_of_channels_is_named(mctc: Any, speech: Path, tmp_path: Path) -> None:
    text = TWO.replace("mean: f32[B, T/2, 1]", "mean: f32[B, T, 4, 8]").replace(
        MEAN, "split_channels(frames8, groups = 8)"
    )
    folder, out = (
        built(text.replace("return", 'frames8 = slice(samples, "channel", 0, 32); return'), tmp_path),
        tmp_path / "power.txt",
    )
    done = mctc("run", folder, speech, "--output", out)
    assert "without mean: " in done.stderr
    assert {len(line.split("\t")) for line in out.read_text().splitlines()} == {2}


def test_a_file_holds_what_its_name_says(mctc: Any, speech: Path, tmp_path: Path) -> None:
    numbers = built(LOUD, tmp_path)
    refused = mctc("run", numbers, speech, "--output", tmp_path / "x.wav")
    assert "makes no sound" in refused.stderr
    assert not (tmp_path / "x.wav").exists()
    sound = built(LATE, tmp_path)
    assert "written as WAV" in mctc("run", sound, speech, "--output", tmp_path / "x.flac").stderr


def test_without_a_section_other_bins_are_refused_for_what_they_are(mctc: Any, speech: Path, tmp_path: Path) -> None:
    text = """
        model few {
            dim B: batch
            dim T: time @ 100 Hz
            component c(mel: f32[B, T, 40]) -> f32[B, T, 1] { return reduce_mean(mel, "channel") }
            stream { chunk = 100 ms }
        }
    """
    refused = mctc("run", built(text, tmp_path), speech)
    assert "takes no log-mel frames and no samples" in refused.stderr
    assert "80 or 128 bins" in refused.stderr
    samples = text.replace("mel: f32[B, T, 40]", "samples: f32[B, T, 160]").replace("(mel,", "(samples,")
    assert "`audio { rate = 16 kHz }`" in mctc("run", built(samples, tmp_path), speech).stderr
    (tmp_path / "m.mct").write_text(text.replace("stream {", "audio { rate = 16 kHz }\n stream {"))
    given = build(tmp_path / "m.mct", tmp_path / "out", BuildOptions())
    assert len(mctc("run", given.folder, speech).stdout.splitlines()) > 100


def test_what_the_spec_rules_out_of_one_recording_is_told_by_its_name(mctc: Any, speech: Path, tmp_path: Path) -> None:
    folder = built(LOUD.replace("[B, T, 320])", "[B, T, 320] in [-1, 1])"), tmp_path)
    loud = tmp_path / "loud.wav"
    soundfile.write(loud, np.full(3200, 2.0, np.float32), 16000, subtype="FLOAT")
    done = mctc("run", folder, loud, speech)
    assert f"{loud}: input samples: entry [0, 0] is 2" in done.stderr
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) > 100


def test_a_recogniser_gives_no_numbers(small: Path) -> None:
    assert framing(open_built(small)) is None
    with pytest.raises(Exception, match="no function that hears"):
        frames_over(open_built(small), Path("x.wav"))
