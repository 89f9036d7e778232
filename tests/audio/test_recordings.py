"""Recordings from disk: what is read, how it is mixed and resampled, and what is said of files that can't be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from mctc.audio import AudioError, bundled_recording, bundled_text, load_audio, log_mel, probe_audio, stream_audio


def tone(rate: int, seconds: float = 0.5, hz: float = 440.0) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_samples_at_the_wanted_rate_are_read_as_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    samples = np.round(tone(16000) * 32768) / 32768
    soundfile.write(path, samples, 16000, subtype="PCM_16")
    assert np.array_equal(load_audio(path), samples.astype(np.float32))


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate), rate, subtype="FLOAT")
    found = load_audio(path)
    assert abs(len(found) - 8000) <= 1
    inner = slice(500, 7500)
    np.testing.assert_allclose(found[inner], tone(16000)[inner], atol=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(16000), np.full(8000, 0.25)], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(path), (tone(16000) + 0.25) / 2, atol=1e-6)


@pytest.mark.parametrize("chunk", [1000, 5120, 16384, 10**9])
def test_a_stream_gives_the_same_samples_in_equal_blocks(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(44100, 1.7), 44100)
    blocks = list(stream_audio(path, chunk))
    assert all(len(block) == chunk for block in blocks[:-1])
    assert 0 < len(blocks[-1]) <= chunk
    assert np.array_equal(np.concatenate(blocks), load_audio(path))


def test_a_header_is_read_without_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.zeros((11025, 2)), 22050)
    info = probe_audio(path)
    assert (info.sample_rate, info.channels, info.samples, info.seconds) == (22050, 2, 11025, 0.5)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: there is no such file"):
        load_audio(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        load_audio(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing.wav", b"", "0 bytes"),
        ("text.wav", b"this is not a recording at all", "corrupt or of an unsupported format"),
        ("talk.mp4", b"\0\0\0\x18ftypmp42" + bytes(64), r"this is MPEG-4 \(.*ffmpeg -i"),
        ("talk.m4a", b"\0\0\0\x1cftypM4A " + bytes(64), r"this is MPEG-4 \(.*ffmpeg -i"),
        ("talk.webm", b"\x1a\x45\xdf\xa3" + bytes(64), "this is WebM"),
        ("talk.wma", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(64), "this is Windows Media"),
        ("talk.aac", b"\xff\xf1\x60\x40" + bytes(64), "this is AAC"),
        ("talk.amr", b"#!AMR\n" + bytes(64), "this is AMR"),
        ("samples.raw", bytes(64), "unsupported format"),
    ],
)
def test_files_that_are_not_sound_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=said) as caught:
        load_audio(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.fix


def test_a_recording_without_samples_is_named(tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(0), 16000)
    with pytest.raises(AudioError, match="no samples"):
        load_audio(path)


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_flac_cut_short_or_overwritten_is_corrupt(tmp_path: Path, kept: float) -> None:
    whole = bundled_recording().read_bytes()
    path = tmp_path / "speech.flac"
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(AudioError, match="corrupt"):
        load_audio(path)


def test_samples_that_are_not_numbers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    soundfile.write(path, np.array([0.0, np.nan, 0.0]), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        load_audio(path)


@pytest.mark.parametrize("rate", [1, 7, 999, 1_000_001, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_a_damaged_header(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(16000), 16000)
    damaged = bytearray((tmp_path / "tone.wav").read_bytes())
    damaged[24:28] = rate.to_bytes(4, "little")
    (tmp_path / "tone.wav").write_bytes(damaged)
    for read in (probe_audio, load_audio, lambda path: next(stream_audio(path, 160))):
        with pytest.raises(AudioError, match=f"its header says {rate} Hz"):
            read(tmp_path / "tone.wav")


def test_a_header_that_announces_more_than_there_is_gives_what_there_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(16000), 16000)
    damaged = bytearray((tmp_path / "tone.wav").read_bytes())
    damaged[4:8] = damaged[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "tone.wav").write_bytes(damaged)
    assert len(load_audio(tmp_path / "tone.wav")) == 8000


def test_samples_that_are_too_loud_for_any_recording_are_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.full(100, 1e30), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"samples up to 1e\+30 where full scale is 1, after sample 0"):
        load_audio(tmp_path / "loud.wav")


@pytest.mark.parametrize(("bits", "factor"), [(16, 32_768), (32, 2_147_483_648)])
def test_whole_numbers_as_floats_are_told_from_sound(tmp_path: Path, bits: int, factor: int) -> None:
    soundfile.write(tmp_path / "whole.wav", tone(16000) * factor, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"such as whole numbers of {bits} bits as floats.*divide them by {factor}"):
        load_audio(tmp_path / "whole.wav")


def test_what_is_beyond_full_scale_is_still_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", tone(16000) * 100, 16000, subtype="FLOAT")
    assert np.abs(load_audio(tmp_path / "loud.wav")).max() > 20


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_every_width_and_number_of_channels_is_read(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.repeat(tone(16000)[:, None], channels, axis=1), 16000, subtype=subtype)
    np.testing.assert_allclose(load_audio(path), tone(16000), atol=1e-2)


def test_a_chunk_of_nothing_is_refused_before_the_file_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chunk_samples"):
        stream_audio(tmp_path / "gone.wav", 0)


def test_the_bundled_recording_is_ten_seconds_or_so_of_sixteen_kilohertz_speech() -> None:
    info = probe_audio(bundled_recording())
    assert (info.sample_rate, info.channels) == (16000, 1)
    assert 9 < info.seconds < 13
    frames = log_mel(load_audio(bundled_recording()))
    # Speech has loud and silent frames; noise or a tone would have one kind only.
    loudness = frames.max(axis=1)
    assert (loudness > 0.7).mean() > 0.2
    assert (loudness < 0.0).mean() > 0.02
    assert len(bundled_text().split()) > 20


def test_the_sound_libraries_are_imported_only_when_a_file_is_opened() -> None:
    script = "import sys, mctc.audio, mctc.decode; sys.exit(bool({'soundfile', 'soxr', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_piece_is_what_lies_between_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "tone.flac"
    soundfile.write(path, tone(16000, 2.5), 16000, subtype="PCM_16")
    whole = load_audio(path)
    assert np.array_equal(load_audio(path, start_s=0.25, duration_s=1.5), whole[4000:28000])
    assert np.array_equal(load_audio(path, start_s=2.0, duration_s=9.0), whole[32000:])
    assert np.array_equal(np.concatenate(list(stream_audio(path, 100, start_s=2.0))), whole[32000:])
    for start, duration in ((2.5, None), (-1.0, None), (1.0, 0.0)):
        with pytest.raises(AudioError, match=r"there is no sound from .* of its 2\.5 s"):
            load_audio(path, start_s=start, duration_s=duration)
