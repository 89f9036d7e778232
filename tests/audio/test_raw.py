"""Raw samples from a pipe are the sound that a file of them would be."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mctc.audio import AudioError, load_audio
from mctc.audio.raw import raw_audio

SOUND = (0.3 * np.sin(np.arange(20_000) / 9)).astype(np.float32)
WRITTEN = {
    "s16": np.rint(SOUND * 2**15).astype("<i2"),
    "s32": np.rint(SOUND.astype(np.float64) * 2**31).astype("<i4"),
    "f32": SOUND.astype("<f4"),
}


def heard(data: bytes, *settings: int | str) -> np.ndarray:
    return np.concatenate(list(raw_audio(io.BytesIO(data), "<stdin>", *settings)))  # type: ignore[arg-type]


@pytest.mark.parametrize("encoding", WRITTEN)
def test_samples_of_each_encoding_are_read(encoding: str) -> None:
    np.testing.assert_allclose(heard(WRITTEN[encoding].tobytes(), 16_000, 1, encoding), SOUND, atol=2**-16)


def test_channels_are_averaged() -> None:
    both = np.stack([WRITTEN["f32"], -WRITTEN["f32"] / 2], axis=1)
    np.testing.assert_allclose(heard(both.tobytes(), 16_000, 2, "f32"), SOUND / 4, atol=1e-7)


def test_another_rate_is_resampled_as_a_file_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", WRITTEN["s16"], 44_100)
    np.testing.assert_allclose(
        heard(WRITTEN["s16"].tobytes(), 44_100, 1, "s16"), load_audio(tmp_path / "a.wav"), atol=1e-6
    )


def test_half_a_sample_at_the_end_is_dropped() -> None:
    assert len(heard(WRITTEN["s16"].tobytes() + b"\1", 16_000, 1, "s16")) == len(SOUND)


def test_what_comes_in_pieces_is_handed_on_as_it_comes() -> None:
    class Pipe(io.RawIOBase):
        parts = [b"\0", b"\0\0", b"\0" * 5]

        def read1(self, _: int) -> bytes:
            return self.parts.pop(0) if self.parts else b""

    blocks = raw_audio(Pipe(), "<stdin>", 16_000, 1, "s16")  # type: ignore[arg-type]
    assert [len(block) for block in blocks if len(block)] == [1, 3]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no samples"),
        (b"\0", "no samples"),
        (np.array([0, np.nan], "<f4").tobytes(), "no sound"),
        (np.array([0, 1e30], "<f4").tobytes(), "no sound"),
        (b"\1\0\x80\x7f", "no sound"),  # a NaN that signals
        (np.array([0, 9_000], "<f4").tobytes(), "no sound"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_sound_is_an_error(data: bytes, told: str) -> None:
    with pytest.raises(AudioError, match=told):
        heard(data, 16_000, 1, "f32" if len(data) > 1 else "s16")


def test_less_than_one_sample_at_the_wanted_rate_is_no_sound() -> None:
    with pytest.raises(AudioError, match="2 samples at 192000 Hz are less than one at 16000 Hz"):
        heard(b"\0" * 4, 192_000, 1, "s16")
