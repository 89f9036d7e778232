"""Headers that can't be taken by their word: sizes that a stream leaves open, frames that nothing counts, blocks."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bench.fuzz.guided.sounds import coded, written
from bench.fuzz.guided.sounds.written import ALL_ONES, Layout, Wav, chunk
from mctc.audio import AudioError, load_audio, probe_audio
from mctc.audio.container import View, corrected
from mctc.audio.container.correction import Correction
from mctc.audio.sound import cut_short

COUNT, RATE = 20_001, 16_000
SOUND = np.round(0.3 * np.sin(np.arange(COUNT) / 9) * 32_768) / 32_768
STORED = (SOUND * 32_768).astype("<i2").tobytes()
MONO = Layout(1, RATE, 16)
TEXT = chunk(b"LIST", b"INFOISFT" + (14).to_bytes(4, "little") + b"Lavf58.29.100\0")
ODD = chunk(b"bext", bytes(609))
MP3 = ("mp3", "MP3", "MPEG_LAYER_III")


def heard(folder: Path, name: str, data: bytes, count: int = COUNT) -> NDArray[np.float32]:
    """The samples of a file, whose header must tell as many."""
    (folder / name).write_bytes(data)
    samples = load_audio(folder / name, probe_audio(folder / name).sample_rate)
    assert probe_audio(folder / name).samples == len(samples) == count
    return samples


def swept(rate: int = RATE, count: int = 40_000) -> NDArray[np.float64]:
    """A sound whose frames differ in size."""
    return np.sin(np.cumsum(np.linspace(0.01, 2.0, count)))[:, None] * np.linspace(0.0, 0.6, count)[:, None]


@pytest.mark.parametrize("magic", [b"RIFF", b"RF64", b"BW64", b"RIFX"])
@pytest.mark.parametrize("size", [None, 0, ALL_ONES, len(STORED) + 10**9])
@pytest.mark.parametrize("before", [b"", TEXT + ODD], ids=["plain", "chunks"])
def test_a_wav_file_is_read_to_its_end_whatever_size_it_says(
    tmp_path: Path, magic: bytes, size: int | None, before: bytes
) -> None:
    if magic == b"RIFX" and before:
        pytest.skip("these chunks have the other order of bytes")
    stored = SOUND if magic != b"RIFX" else None
    sound = STORED if stored is not None else (SOUND * 32_768).astype(">i2").tobytes()
    data, _ = written.wav(MONO, sound, 0, Wav(magic, size=size, before=before))
    np.testing.assert_array_equal(heard(tmp_path, "a.wav", data), SOUND.astype(np.float32))


@pytest.mark.parametrize("after", [b"", TEXT], ids=["nothing", "chunks"])
def test_a_wav_file_without_sound_has_none_whatever_follows(tmp_path: Path, after: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(written.wav(MONO, b"", 0, Wav(after=after))[0])
    with pytest.raises(AudioError, match="no samples"):
        probe_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("coding", ["MS_ADPCM", "GSM610"])
@pytest.mark.parametrize("count", [1, COUNT])
def test_of_the_last_block_only_what_is_sound_is_read(tmp_path: Path, coding: str, count: int) -> None:
    soundfile.write(tmp_path / "a.wav", SOUND[:count], RATE, coding)
    assert len(load_audio(tmp_path / "a.wav")) == probe_audio(tmp_path / "a.wav").samples == count


@pytest.mark.parametrize("size", [None, 0, ALL_ONES])
def test_an_au_file_is_read_to_its_end(tmp_path: Path, size: int | None) -> None:
    stored = (SOUND * 32_768).astype(">i2").tobytes()
    data = written.au(MONO, stored, size, b"a remark")
    np.testing.assert_array_equal(heard(tmp_path, "a.au", data), SOUND.astype(np.float32))


@pytest.mark.parametrize(
    "start", [b"this is some text", b"ID3\4\0\0\0\0\0\0FORM\0\0\0^16SVVHDR", b"FORM\0\0\0^8SVXVHDR", b" paf"]
)
def test_what_begins_like_no_sound_file_is_kept_from_libsndfile(tmp_path: Path, start: bytes) -> None:
    # It reads text called .au as mu-law, and seeks for ever in Amiga's files behind a tag.
    for name in ("a.au", "a.snd", "a.wav", "a"):
        (tmp_path / name).write_bytes(start.ljust(400))
        with pytest.raises(AudioError, match="it begins like none"):
            load_audio(tmp_path / name)


@pytest.mark.parametrize(
    "kind", [("", "NIST", "PCM_16"), ("", "VOC", "PCM_16"), ("", "W64", "PCM_16"), ("", "FLAC", "PCM_16")]
)
def test_files_are_known_by_how_they_begin_and_not_by_their_names(tmp_path: Path, kind: tuple[str, str, str]) -> None:
    data = coded.coded(kind, SOUND[:, None], RATE)
    assert data is not None
    np.testing.assert_array_equal(heard(tmp_path, "a", data), SOUND.astype(np.float32))


def test_a_flac_file_behind_a_tag_is_read(tmp_path: Path) -> None:
    data = coded.coded(("flac", "FLAC", "PCM_16"), SOUND[:, None], RATE)
    assert data is not None
    np.testing.assert_array_equal(
        heard(tmp_path, "a", b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + data), SOUND.astype(np.float32)
    )


@pytest.mark.parametrize("size", [None, -1, 1 << 40])
def test_a_caf_file_is_read_to_its_end(tmp_path: Path, size: int | None) -> None:
    data = written.caf(MONO, STORED, size)
    np.testing.assert_array_equal(heard(tmp_path, "a.caf", data), SOUND.astype(np.float32))


@pytest.mark.parametrize("count", [5, 16_384, COUNT])
def test_a_flac_from_a_pipe_which_does_not_say_its_length_is_read(tmp_path: Path, count: int) -> None:
    whole = coded.coded(("flac", "FLAC", "PCM_16"), SOUND[:count, None], RATE)
    assert whole is not None
    samples = heard(tmp_path, "a.flac", coded.of_unknown_length(whole), count)
    np.testing.assert_array_equal(samples, SOUND[:count].astype(np.float32))


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 2), (22_050, 1), (44_100, 2), (48_000, 1)])
def test_an_mp3_whose_frames_nothing_counts_is_read_whole(tmp_path: Path, rate: int, channels: int) -> None:
    sound = np.repeat(swept(), channels, axis=1)
    whole = coded.coded(MP3, sound, rate)
    assert whole is not None
    data, count = coded.without_count(whole)
    samples = heard(tmp_path, "a.mp3", data, count)
    told = heard(tmp_path, "b.mp3", whole, len(sound))
    late = int(np.argmax(np.correlate(samples, told[:2000], "valid")[:3000]))  # an encoder's own delay comes before it
    np.testing.assert_allclose(samples[late + 5000 :][: len(told) - 6000], told[5000:][: len(told) - 6000], atol=1e-4)
    for tag in (b"ID3\4\0\0\0\0\0\x0a" + bytes(10), b"junk" * 50):
        assert len(heard(tmp_path, "c.mp3", tag + data + b"TAG".ljust(128), count)) == count


def test_mp3_files_put_one_behind_the_other_are_heard_to_the_last(tmp_path: Path) -> None:
    whole = coded.coded(MP3, swept(), RATE)
    assert whole is not None
    _, once = coded.without_count(whole)
    (tmp_path / "a.mp3").write_bytes(whole + whole)
    assert 2 * once <= len(load_audio(tmp_path / "a.mp3")) <= 2 * once + 3 * 576


def test_ogg_streams_one_behind_the_other_are_refused_and_not_heard_in_part(tmp_path: Path) -> None:
    data = coded.coded(("ogg", "OGG", "VORBIS"), swept(), RATE)
    assert data is not None
    heard(tmp_path, "a.ogg", data, 40_000)
    (tmp_path / "b.ogg").write_bytes(data + data)
    with pytest.raises(AudioError, match=rf"only a part of it .* at byte {len(data)}"):
        probe_audio(tmp_path / "b.ogg")


@pytest.mark.parametrize("kind", [MP3, ("wav", "WAV", "GSM610"), ("ogg", "OGG", "VORBIS"), ("ogg", "OGG", "OPUS")])
def test_a_piece_of_a_compressed_file_is_that_of_the_whole(tmp_path: Path, kind: tuple[str, str, str]) -> None:
    data = coded.coded(kind, swept(), RATE)
    assert data is not None
    whole = heard(tmp_path, f"a.{kind[0]}", data, 40_000)
    piece = load_audio(tmp_path / f"a.{kind[0]}", start_s=1.25, duration_s=0.5)
    # Opus is what it was after 80 ms or so, which decoders hear before the piece (RFC 7845, section 4.6).
    np.testing.assert_allclose(piece, whole[20_000:28_000], rtol=0, atol=0.01 if "OPUS" in kind else 0)


@pytest.mark.parametrize("rate", [44_100, 384_000])
def test_less_than_one_sample_at_the_wanted_rate_is_no_sound(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.ones(1), rate)
    with pytest.raises(AudioError, match=rf"1 samples at {rate} Hz are less than one at 16000 Hz"):
        load_audio(tmp_path / "a.wav")


def test_a_view_is_the_file_with_another_head() -> None:
    view = View(io.BytesIO(b"0123456789"), 10, Correction(b"abc", 4))
    assert view.read() == b"abc456789"
    assert (view.seek(-2, 2), view.read(5), view.tell()) == (7, b"89", 9)
    assert (view.seek(2), view.read(2), view.seek(1, 1), view.read()) == (2, b"c4", 5, b"6789")
    assert view.seek(100) == 100
    assert view.read() == b""
    with pytest.raises(ValueError, match="byte -1"):
        view.seek(-1)


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b".snd", b"caff\0\1\0\0data", b"OggS", b"ID3", b"\xff\xfb"]
)
def test_torn_headers_are_left_to_libsndfile(data: bytes) -> None:
    assert corrected(io.BytesIO(data), len(data), ".mp3") is None


def test_a_size_that_is_right_is_left_as_it_is() -> None:
    data, _ = written.wav(MONO, STORED, 0, Wav(before=TEXT, after=TEXT))
    assert corrected(io.BytesIO(data), len(data)) is None
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8


CUT = [(("", "WAV", "PCM_16"), "sound, "), (("", "WAV", "IMA_ADPCM"), "sound, "), (("", "RF64", "PCM_16"), "sound, "),
       (("", "AU", "PCM_16"), "sound, "), (("", "CAF", "PCM_16"), "sound, "), (("", "OGG", "VORBIS"), "last page"),
       (("", "OGG", "OPUS"), "last page")]  # fmt: skip


@pytest.mark.parametrize(("kind", "told"), CUT, ids=lambda value: "-".join(value[1:]) if value[0] == "" else "")
def test_a_file_that_is_cut_short_is_read_and_said_to_be(tmp_path: Path, kind: tuple[str, str, str], told: str) -> None:
    data = coded.coded(kind, swept(count=300_000), RATE)
    path = tmp_path / "a"
    path.write_bytes(data)
    whole = len(load_audio(path))
    assert cut_short(path) == ""
    path.write_bytes(data[: len(data) * 2 // 3])
    assert told in cut_short(path)
    assert 0 < len(load_audio(path)) < whole


@pytest.mark.parametrize("size", [0, ALL_ONES, 0x7FFF_FFFF, 0x7FFF_F000, 0x8000_0000, len(STORED), len(STORED) + 100])
def test_a_size_that_is_left_open_or_nearly_right_is_no_damage(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(written.wav(MONO, STORED, 0, Wav(size=size))[0])
    assert cut_short(path) == ""
