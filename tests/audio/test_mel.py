"""Log-mel frames against a direct Fourier sum, and the stream against the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mctc.audio import MelConfig, StreamingMel, log_mel
from mctc.audio.filterbank import mel_filters
from mctc.audio.front_end import existing_frames


def sound(samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Noise over a chirp, with a silent stretch in the middle."""
    time = np.arange(samples) / 16000
    wave = 0.4 * np.sin(2 * np.pi * (200 + 900 * time) * time)
    wave += 0.05 * np.random.default_rng(seed).normal(size=samples)
    wave[samples // 3 : samples // 2] = 0
    return wave.astype(np.float32)


def by_direct_sum(samples: NDArray[np.float32], config: MelConfig) -> NDArray[np.float64]:
    """The definition: every frame cut out, windowed and transformed by the Fourier sum, in float64."""
    n = np.arange(config.window)
    hann = np.sin(np.pi * n / (config.window - (not config.periodic))) ** 2
    hann = {"hann": hann, "hamming": 0.08 + 0.92 * hann, "povey": hann**0.85}[config.taper]
    samples = config.gain * samples.astype(np.float64)
    if config.framing != "causal":
        return by_windows(samples, config, hann)
    emphasised = [float(x) - config.preemphasis * float(before) for before, x in zip([0.0, *samples], samples)]
    waves = np.exp(-2j * np.pi * np.outer(np.arange(config.fft // 2 + 1), n) / config.fft)
    dense = mel_filters(
        config.sample_rate, config.fft, config.bins, config.f_min, config.f_max, config.scale, config.area
    )
    frames = []
    for t in range(-(-len(samples) // config.hop) if config.partial else len(samples) // config.hop):
        first = t * config.hop - (config.window // 2 if config.centred else config.window - config.hop)
        places = range(first, first + config.window)
        energy = dense @ np.abs(waves @ (hann * [emphasised[i] if 0 <= i < len(samples) else 0.0 for i in places])) ** 2
        kept = energy + config.floor if config.added else np.maximum(energy, config.floor)
        frames.append(np.log(kept) if config.log == "ln" else np.log10(kept))
    found = np.array(frames)
    if config.normalise == "recording":
        return np.asarray((found - found.mean(axis=0)) / (found.std(axis=0, ddof=1) + 1e-5))
    return found if config.normalise == "none" else (found + 4) / 4


def by_windows(samples: NDArray[np.float64], config: MelConfig, taper: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of windows that are emphasised by themselves, as Kaldi makes and mirrors them."""
    snipped, half = config.framing == "snipped", config.hop // 2
    fitting = 1 + (len(samples) - config.window) // config.hop
    count = max(0, fitting) if snipped else (len(samples) + half) // config.hop
    frames = np.zeros((count, config.bins))
    for t in range(count):
        first = t * config.hop + (0 if snipped else half - config.window // 2)
        places = np.arange(first, first + config.window)
        while ((places < 0) | (places >= len(samples))).any():
            places = np.where(places < 0, -places - 1, places)
            places = np.where(places >= len(samples), 2 * len(samples) - 1 - places, places)
        window = samples[places] - samples[places].mean()
        window = window - config.preemphasis * np.array([window[0], *window[:-1]])
        power = np.abs(np.fft.rfft(window * taper, config.fft)) ** 2
        ends = 1127 * np.log(1 + np.array([config.f_min, config.f_max]) / 700)
        corners = np.linspace(*ends, config.bins + 2)
        mels = 1127 * np.log(1 + np.arange(config.fft // 2 + 1) * config.sample_rate / config.fft / 700)
        for b in range(config.bins):
            triangle = np.interp(mels, corners[b : b + 3], [0, 1, 0], left=0, right=0)
            frames[t, b] = np.log(max(triangle @ power, config.floor))
    return frames


# Kaldi's filter banks; the second as icefall has them, the third as FunASR.
KALDI = MelConfig(
    taper="povey", by_window=True, preemphasis=0.97, scale="kaldi", area=False, log="ln", normalise="none",
    floor=2**-23, periodic=False, framing="snipped", f_min=20.0,
)  # fmt: skip
MIDDLE = replace(KALDI, framing="middle", f_max=7600.0)
HAMMING = replace(KALDI, taper="hamming", gain=32768.0)


@pytest.mark.parametrize("config", [KALDI, MIDDLE, HAMMING])
@pytest.mark.parametrize("samples", [0, 79, 81, 130, 399, 400, 5003])
def test_kaldis_frames_are_those_of_their_definition(config: MelConfig, samples: int) -> None:
    found, wanted = log_mel(sound(samples), config), by_direct_sum(sound(samples), config)
    assert found.shape == wanted.shape
    assert len(found) == existing_frames(samples, config)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("config", [KALDI, MIDDLE, HAMMING])
def test_kaldis_frames_are_those_of_kaldis_own_code(config: MelConfig) -> None:
    native = pytest.importorskip("kaldi_native_fbank")
    asked = native.FbankOptions()
    asked.frame_opts.dither, asked.frame_opts.snip_edges = 0, config.framing == "snipped"
    asked.frame_opts.window_type, asked.mel_opts.num_bins = config.taper, config.bins
    asked.mel_opts.low_freq, asked.mel_opts.high_freq = config.f_min, config.f_max
    stream = native.OnlineFbank(asked)
    stream.accept_waveform(16_000, (config.gain * sound(5003)).tolist())
    stream.input_finished()
    wanted = [stream.get_frame(at) for at in range(stream.num_frames_ready)]
    np.testing.assert_allclose(log_mel(sound(5003), config), wanted, atol=5e-4)  # theirs are computed in fp32


@pytest.mark.parametrize("config", [KALDI, MIDDLE], ids=["snipped", "middle"])
def test_kaldis_frames_are_normalised_over_the_recording_as_they_are(config: MelConfig) -> None:
    sound = np.random.default_rng(0).normal(size=5_077) * 0.1
    frames = log_mel(sound, config).astype(np.float64)
    expected = (frames - frames.mean(0)) / (frames.std(0, ddof=1) + 1e-5)
    np.testing.assert_allclose(log_mel(sound, replace(config, normalise="recording")), expected, atol=1e-4)


def test_silence_fills_up_what_kaldis_framing_leaves() -> None:
    stream = StreamingMel(MIDDLE)
    stream.push(sound(1000))
    tail = stream.flush(multiple=8)
    assert len(tail) == 8
    assert (tail[-3:] == np.float32(MIDDLE.silence)).all()


# What NVIDIA's NeMo toolkit makes, and with it the front end of Parakeet.
NEMO = MelConfig(
    preemphasis=0.97, periodic=False, centred=True, mirrored=False, partial=False, log="ln", floor=2**-24, added=True,
    normalise="recording",
)  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        MelConfig(),
        MelConfig(bins=128),
        MelConfig(sample_rate=8000, window=200, hop=80, fft=256, bins=20, f_min=60, f_max=3800, scale="htk"),
        MelConfig(window=160, hop=160, bins=40, floor=1e-5),
        MelConfig(preemphasis=0.9, log="ln", normalise="none", area=False, partial=False),
        NEMO,
    ],
)
def test_frames_are_those_of_the_direct_fourier_sum(config: MelConfig) -> None:
    samples = sound(4000 + 37)
    found = log_mel(samples, config)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_direct_sum(samples, config), rtol=0, atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.integers(0, 700) | st.sampled_from([160, 240, 320, 5120]), max_size=12),
    config=st.sampled_from(
        [MelConfig(), MelConfig(bins=128), MelConfig(preemphasis=0.97, log="ln", partial=False), KALDI, MIDDLE, HAMMING]
    ),
    seed=st.integers(0, 100),
)
def test_a_stream_equals_the_whole_bit_for_bit(pieces: list[int], config: MelConfig, seed: int) -> None:
    samples = sound(sum(pieces), seed)
    stream = StreamingMel(config)
    found = [stream.push(piece) for piece in np.split(samples, np.cumsum(pieces)[:-1])] if pieces else []
    found.append(stream.flush())
    assert np.array_equal(np.concatenate(found), log_mel(samples, config))


def test_a_stream_equals_the_whole_over_more_than_one_block_of_frames() -> None:
    samples = sound(160 * 1100)
    stream = StreamingMel()
    found = [stream.push(piece) for piece in np.array_split(samples, 17)]
    assert np.array_equal(np.concatenate(found), log_mel(samples))


def test_a_frame_is_ready_with_its_last_sample_and_not_before() -> None:
    stream = StreamingMel()
    assert [len(stream.push(sound(n))) for n in (159, 1, 0, 160 * 32, 319)] == [0, 1, 0, 32, 1]


def test_flush_fills_up_with_silence_to_a_multiple_of_frames_and_starts_anew() -> None:
    stream = StreamingMel()
    samples = sound(160 * 5 + 1)
    assert len(stream.push(samples)) == 5
    tail = stream.flush(multiple=4)
    assert np.array_equal(tail, log_mel(np.concatenate([samples, np.zeros(160 * 4 - 1)]))[5:])
    assert stream.flush(multiple=4).shape == (0, 80)
    assert np.array_equal(stream.push(samples), log_mel(samples[:800]))


def test_silence_is_the_floor() -> None:
    config = MelConfig(floor=1e-8)
    assert np.array_equal(log_mel(np.zeros(320), config), np.full((2, 80), config.silence, np.float32))
    assert config.silence == -1.0


def test_no_sound_is_no_frames() -> None:
    assert log_mel(np.zeros(0)).shape == (0, 80)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"hop": 401}, "hop"),
        ({"hop": 0}, "hop"),
        ({"window": 513}, "window"),
        ({"bins": 0}, "bins"),
        ({"f_max": 8001.0}, "f_max"),
        ({"f_min": 8000.0}, "f_min"),
        ({"scale": "bark"}, "scale"),
        ({"floor": 0.0}, "floor"),
        ({"preemphasis": 1.5}, "preemphasis"),
        ({"log": "log2"}, "log"),
        ({"normalise": "batch"}, "normalise"),
        ({"decades": 0}, "decades"),
        ({"taper": "kaiser"}, "taper"),
        ({"gain": 0.0}, "gain"),
        ({"framing": "late"}, "framing"),
        ({"framing": "middle", "centred": True}, "centred"),
        ({"scale": "kaldi"}, "area"),
    ],
)
def test_a_setting_that_can_not_be_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MelConfig(**fields)


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        (np.zeros((2, 400)), "one axis"),
        (np.zeros(400, np.int16), "int16"),
        (np.array([0.0, np.nan]), "sample 1"),
    ],
)
def test_samples_that_are_not_sound_are_refused(samples: NDArray[Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        log_mel(samples)


class TestOfWholeRecordings:
    WHISPER = MelConfig(fft=400, centred=True, decades=8)

    @pytest.mark.parametrize("bins", [80, 128])
    def test_whispers_features_are_those_of_the_transformers_library(self, bins: int) -> None:
        transformers = pytest.importorskip("transformers")
        samples = np.random.default_rng(0).normal(scale=0.1, size=16_000 * 3).astype(np.float32)
        samples[20_000:] = 0
        theirs = transformers.WhisperFeatureExtractor(feature_size=bins, chunk_length=3)(samples, sampling_rate=16_000)
        ours = log_mel(samples, MelConfig(bins=bins, fft=400, centred=True, decades=8))
        np.testing.assert_allclose(ours, theirs["input_features"][0].T, atol=2e-4)

    def test_each_option_alone_is_the_streams_frames_shifted_or_clamped(self) -> None:
        samples = np.random.default_rng(1).normal(scale=0.1, size=16_000)
        samples[:8_000] *= 1e-4
        usual = log_mel(samples, MelConfig(fft=400))
        clamped = log_mel(samples, MelConfig(fft=400, decades=2))
        np.testing.assert_allclose(clamped, np.maximum(usual, usual.max() - 0.5), atol=1e-6)
        centred = log_mel(np.concatenate([samples, np.zeros(160)]), MelConfig(fft=400, centred=True))
        ahead = log_mel(np.concatenate([samples[40:], np.zeros(160)]), MelConfig(fft=400))
        np.testing.assert_allclose(centred[2:90], ahead[2:90], atol=1e-6)

    def test_an_incomplete_hop_is_filled_up(self) -> None:
        assert log_mel(np.zeros(161), self.WHISPER).shape == (2, 80)
        assert log_mel(np.zeros(0), self.WHISPER).shape == (0, 80)

    def test_a_stream_refuses_them(self) -> None:
        with pytest.raises(ValueError, match="whole recording"):
            StreamingMel(self.WHISPER)


GROUPS = MelConfig(bins=80, partial=False, shortest=8000, every=100, zeros=4)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (1, 50), (8000, 50), (16_000, 104), (16_159, 104), (40_100, 258)]
)
def test_groups_of_frames_are_followed_by_zeros_and_short_recordings_by_silence(samples: int, frames: int) -> None:
    found = log_mel(sound(samples), GROUPS)
    assert len(found) == frames == existing_frames(samples, GROUPS)
    zeros = np.arange(len(found)) % 104 >= 100
    assert not found[zeros].any()
    plain = log_mel(np.pad(sound(samples), (0, max(0, 8000 - samples))), MelConfig(bins=80, partial=False))
    np.testing.assert_array_equal(found[~zeros][: len(plain)], plain[: len(found)])


def test_groups_of_frames_have_a_rate_of_their_own() -> None:
    assert (GROUPS.rate, GROUPS.samples(208)) == (104, 32_000)
    with pytest.raises(ValueError, match="every must say behind how many frames"):
        MelConfig(zeros=4)
    with pytest.raises(ValueError, match="need the whole recording"):
        StreamingMel(GROUPS)
