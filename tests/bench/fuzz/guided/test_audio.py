"""Recordings of odd kinds: what is made is what was meant, what is heard of it is right, what is damaged is refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench.fuzz.guided import audio
from bench.fuzz.guided.audio import seconds, try_sound
from bench.fuzz.guided.session import CPU_SECONDS
from bench.fuzz.guided.sounds.file import Known, Said, SoundFile, decoded
from bench.fuzz.guided.sounds.made import FASTEST_FOR_HOURS, HOURS, lasting, made
from bench.fuzz.guided.sounds.mutated import SoundMutator
from bench.fuzz.guided.sounds.told import told
from bench.fuzz.guided.sounds.written import Layout, Wav, au, caf, wav
from bench.fuzz.guided.verdict import Finding, Verdict
from mctc.audio import AudioError, AudioInfo

TONE = (np.sin(np.arange(500)) * 9000).astype("<i2").tobytes()
WRITTEN = wav(Layout(1, 16_000, 16), TONE, 0, Wav())[0]
TOLD = SoundFile("wav", WRITTEN, Said(16_000, 1, 500), Known.LENGTH)


def few_bytes(data: bytes, most: int) -> bytes:
    """In the place of libFuzzer's mutation of bytes."""
    return (data[: len(data) // 2] + b"\xff\0" + data[len(data) // 2 + 1 :])[:most]


def test_made_recordings_are_heard_as_they_were_written(tmp_path: Path) -> None:
    random, seen = Random(5), Counter[str]()
    for _ in range(100):
        file = made(random)
        if file.hole or file.known is Known.NOTHING:
            continue
        silent = file.known is Known.NO_SOUND or file.said.samples * 16_000 < file.said.rate / 2
        assert try_sound(file.encoded(), tmp_path) is (Verdict.REFUSED if silent else Verdict.ACCEPTED)
        seen[file.suffix] += 1
    assert {"wav", "aiff", "au", "caf", "flac", "mp3", "s16"} <= set(seen)


def test_damaged_recordings_are_heard_or_refused(tmp_path: Path) -> None:
    random = Random(6)
    seeds = [made(random).encoded() for _ in range(40)]
    mutate, verdicts = SoundMutator(seeds), Counter[Verdict]()
    for _ in range(100):
        data = mutate(random.choice(seeds), random, 1 << 16, few_bytes)
        assert len(data) <= 1 << 16
        if decoded(data).hole < 1 << 20:
            verdicts[try_sound(data, tmp_path)] += 1
    assert min(verdicts[each] for each in Verdict) > 10


@pytest.mark.parametrize("suffix", ["wav", "s16"])
def test_hours_of_sound_take_a_few_bytes(suffix: str) -> None:
    file = lasting(Random(1), suffix)
    assert len(file.encoded()) < 5000
    assert decoded(file.encoded()) == file
    assert 600 <= file.said.samples / file.said.rate <= HOURS * 3600 + 1
    assert file.said.rate <= FASTEST_FOR_HOURS
    assert sum(map(len, file.blocks())) == len(file.content) + file.hole
    assert seconds(file.encoded()) > CPU_SECONDS


def test_a_hole_is_zeros_where_it_says(tmp_path: Path) -> None:
    file = SoundFile("wav", b"abcd", at=1, hole=3)
    assert file.write(tmp_path).read_bytes() == b"".join(file.blocks()) == b"a\0\0\0bcd"


def test_any_bytes_are_a_recording(tmp_path: Path) -> None:
    random = Random(3)
    for size in (0, 1, 30, 31, 60):
        data = random.randbytes(size)
        assert decoded(decoded(data).encoded()) == decoded(data)
        if decoded(data).suffix:
            assert try_sound(data[:1], tmp_path) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (Said(16_000, 1, 499), "is read as"),
        (Said(8_000, 1, 500), "is read as"),
    ],
)
def test_a_length_or_a_rate_that_is_not_the_written_one_is_a_finding(wrong: Said, match: str, tmp_path: Path) -> None:
    assert try_sound(TOLD.encoded(), tmp_path) is Verdict.ACCEPTED
    with pytest.raises(Finding, match=match):
        try_sound(SoundFile("wav", WRITTEN, wrong, Known.LENGTH).encoded(), tmp_path)


def test_sound_where_none_is_and_none_where_some_is_are_findings(tmp_path: Path) -> None:
    with pytest.raises(Finding, match="that is no sound is read"):
        try_sound(SoundFile("wav", WRITTEN, TOLD.said, Known.NO_SOUND).encoded(), tmp_path)
    with pytest.raises(Finding, match=r"a whole wav file .* is refused"):
        try_sound(SoundFile("wav", WRITTEN[:20], TOLD.said, Known.LENGTH).encoded(), tmp_path)


def test_a_length_that_the_header_denies_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = SoundFile("wav", WRITTEN).encoded()
    assert try_sound(data, tmp_path) is Verdict.ACCEPTED
    monkeypatch.setattr(audio, "probe_audio", lambda path: AudioInfo(16_000, 1, 400))
    with pytest.raises(Finding, match="is read as"):
        try_sound(data, tmp_path)


@pytest.mark.parametrize(
    ("block", "match"),
    [
        (np.full(500, np.nan, np.float32), "no sound"),
        (np.full(500, np.inf, np.float32), "no sound"),
        (np.zeros(500), "a block of float64"),
        (np.zeros(300, np.float32), "300 samples"),
    ],
)
def test_samples_that_are_none_or_too_few_are_findings(
    block: np.ndarray, match: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(audio, "stream_audio", lambda path, size: iter([block]))
    with pytest.raises(Finding, match=match):
        try_sound(TOLD.encoded(), tmp_path)


def test_an_error_without_a_way_out_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path) -> AudioInfo:
        raise AudioError(path, "it is wrong", "")

    monkeypatch.setattr(audio, "probe_audio", refuse)
    with pytest.raises(Finding, match="no way out"):
        try_sound(TOLD.encoded(), tmp_path)


def test_headers_are_read_independently() -> None:
    mono = Layout(2, 44_100, 24)
    sound = bytes(mono.frame * 70)
    said = Said(44_100, 2, 70)
    assert told(wav(mono, sound, 0, Wav(extensible=True))[0]) == said
    assert told(wav(mono, sound, 0, Wav(size=1 << 30))[0]) == said
    assert told(au(mono, sound, None, b"text")) == said
    assert told(WRITTEN[:30]) is None
    assert told(caf(mono, sound, None)) is None
