"""Sound files at random: every container, layout, rate, length and habit of a writer, with what must come of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from numpy.typing import NDArray

from bench.fuzz.guided.sounds import coded, written
from bench.fuzz.guided.sounds.file import RAW, Known, Said, SoundFile
from bench.fuzz.guided.sounds.written import ALL_ONES, Layout, Wav, chunk
from mctc.audio.scale import LOUDEST

RATES = (4_000, 8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000, 384_000)
HOURS = 3
FASTEST_FOR_HOURS = 16_000
"""Hz; a higher rate only makes more of the same samples."""
FULL = {8: 2**7 - 1, 16: 2**15 - 1, 24: 2**23 - 1, 32: 2**31 - 1}
TEXT = chunk(b"LIST", b"INFOISFT" + (14).to_bytes(4, "little") + b"Lavf58.29.100\0")
CHUNKS = (b"", TEXT, chunk(b"bext", bytes(602) + b"history"), chunk(b"JUNK", bytes(27)), chunk(b"fact", bytes(4)))


def made(random: Random) -> SoundFile:
    """Any recording. A hundredth of them last up to three hours."""
    if random.random() < 0.01:
        return lasting(random, random.choice(("wav", "s16")))
    writer = random.choice((*[_wav] * 5, *[_coded] * 4, _aiff, _au, _caf, _raw, _open))
    return writer(random)


def lasting(random: Random, suffix: str) -> SoundFile:
    """A recording of many minutes up to three hours, most of it silence that isn't stored."""
    rate = random.choice([each for each in RATES if each <= FASTEST_FOR_HOURS])
    layout = Layout(1, rate, 16)
    samples = random.randint(600, HOURS * 3600) * rate + random.randrange(rate)
    sound = _stored(_samples(random, min(samples, 2000), 1), layout)
    hole, said = samples * 2 - len(sound), Said(rate, 1, samples)
    if suffix in RAW:
        return SoundFile(suffix, sound, said, Known.LENGTH, 0, hole)
    content, at = written.wav(layout, sound, hole, Wav(size=random.choice((None, 0, ALL_ONES)), whole=0))
    return SoundFile("wav", content, said, Known.LENGTH, at, hole)


def _rate(random: Random) -> int:
    return random.choice(RATES) if random.random() < 0.7 else random.randint(4_000, 384_000)


def _count(random: Random) -> int:
    """Samples: none, one, some, around a power of two, or of any residue."""
    near = 1 << random.randint(1, 15)
    return random.choice((0, 1, 2, random.randint(0, 40), near - 1, near, near + 1, random.randint(0, 40_000)))


def _samples(random: Random, count: int, channels: int) -> NDArray[np.float64]:
    """Sound in [-1, 1], [count, channels]: noise, silence, a tone, full scale, or numbers that are hardly any."""
    rng = np.random.default_rng(random.getrandbits(32))
    shape = (count, channels)
    kind = random.choice(("noise", "silence", "tone", "full", "subnormal"))
    if kind == "noise":
        return rng.uniform(-1, 1, shape)
    if kind == "tone":
        return np.repeat(0.5 * np.sin(np.arange(count) * rng.uniform(0.01, 3))[:, None], channels, axis=1)
    return {"silence": np.zeros, "full": np.ones}.get(kind, lambda each: np.full(each, 1e-42))(shape)


def _stored(samples: NDArray[np.float64], layout: Layout) -> bytes:
    """Samples as they lie in a file, the lowest byte first."""
    if layout.coding == "float":
        return samples.astype(f"<f{layout.bits // 8}").tobytes()
    if layout.coding in ("alaw", "ulaw"):
        return (np.rint((samples + 1) * 127.5)).astype(np.uint8).tobytes()  # any byte is a sample of a law
    whole = np.rint(samples * FULL[layout.bits]).astype("<i4")
    if layout.bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return whole.view(np.uint8).reshape(-1, 4)[:, : layout.bits // 8].tobytes()


def _layout(random: Random) -> Layout:
    coding, bits = random.choice(
        (*(("pcm", bits) for bits in (8, 16, 16, 24, 32)), ("float", 32), ("float", 64), ("alaw", 8), ("ulaw", 8))
    )
    return Layout(random.choice((1, 1, 2, random.randint(1, 8))), _rate(random), bits, coding)


def _wav(random: Random) -> SoundFile:
    layout, count = _layout(random), _count(random)
    samples = _samples(random, count, layout.channels)
    known = _spoilt(random, samples) if layout.coding == "float" else Known.LENGTH
    sound = _stored(samples, layout)
    order = random.choice((b"RIFF", b"RIFF", b"RIFF", b"RF64", b"BW64"))
    size = random.choice((None, None, 0, ALL_ONES, len(sound) + random.choice((1, 1000, 10**9))))
    after = random.choice(CHUNKS) if size is None else b""
    form = Wav(order, random.random() < 0.3, size, random.choice((None, 0, ALL_ONES)), random.choice(CHUNKS), after)
    if random.random() < 0.2 and not after:
        kept = random.randint(0, len(sound))
        form, sound = Wav(order, form.extensible, len(sound) or None, None, form.before, padded=False), sound[:kept]
        known = Known.LENGTH if known is Known.LENGTH else Known.NOTHING
    if size is not None:
        form = Wav(order, form.extensible, form.size, form.whole, form.before, padded=False)
    content, _ = written.wav(layout, sound, 0, form)
    count = len(sound) // layout.frame
    said = Said(layout.rate, layout.channels, count)
    return SoundFile("wav", content, said, Known.NO_SOUND if not count else known)


def _spoilt(random: Random, samples: NDArray[np.float64]) -> Known:
    """Puts a number that is no sound among floats, now and then."""
    if not samples.size or random.random() < 0.7:
        return Known.LENGTH
    bad = random.choice((np.nan, np.inf, -np.inf, 1e30, 2 * LOUDEST))
    samples[random.randrange(samples.shape[0]), random.randrange(samples.shape[1])] = bad
    return Known.NO_SOUND


def _aiff(random: Random) -> SoundFile:
    layout = Layout(random.randint(1, 8), _rate(random), random.choice((16, 24, 32)))
    return _as(random, "aiff", layout, lambda sound: written.aiff(layout, sound, random.random() < 0.3))


def _au(random: Random) -> SoundFile:
    layout = random.choice([Layout(random.randint(1, 8), _rate(random), bits, coding) for coding, bits in written.AU])
    remark = random.choice((b"", b"a remark" * 3))
    size = random.choice((None, 0, ALL_ONES))
    return _as(random, "au", layout, lambda sound: written.au(layout, sound, size, remark))


def _caf(random: Random) -> SoundFile:
    layout = random.choice([Layout(random.randint(1, 8), _rate(random), bits) for bits in (16, 24, 32)])
    size = random.choice((None, -1, 1 << 40))
    return _as(random, "caf", layout, lambda sound: written.caf(layout, sound, size))


def _as(random: Random, suffix: str, layout: Layout, write: Callable[[bytes], bytes]) -> SoundFile:
    count = _count(random)
    sound = random.randbytes(count * layout.frame) if layout.coding == "pcm" else bytes(count * layout.frame)
    said = Said(layout.rate, layout.channels, count)
    return SoundFile(suffix, write(sound), said, Known.LENGTH if count else Known.NO_SOUND)


def _raw(random: Random) -> SoundFile:
    suffix, bits, coding = random.choice((("s16", 16, "pcm"), ("s32", 32, "pcm"), ("f32", 32, "float")))
    layout = Layout(random.randint(1, 8), _rate(random), bits, coding)
    samples = _samples(random, _count(random), layout.channels)
    known = _spoilt(random, samples) if suffix == "f32" else Known.LENGTH
    content = _stored(samples, layout) + bytes(random.randrange(layout.frame))
    said = Said(layout.rate, layout.channels, len(samples))
    return SoundFile(suffix, content, said, known if len(samples) else Known.NO_SOUND)


def _coded(random: Random) -> SoundFile:
    """A file by libsndfile; of formats that hold whole blocks or few, the length isn't asked for."""
    kind = random.choice(coded.CODED)
    suffix, container, coding = kind
    rate = _rate(random) if container in coded.EVERY_RATE else random.choice(coded.RATES.get(coding, RATES[1:9]))
    samples = _samples(random, _count(random), random.choice((1, 1, 2)))
    data = coded.coded(kind, samples, rate)
    if data is None:
        return made(random)
    sure = suffix and "ADPCM" not in coding and not coding.startswith("G7") and coding != "PCM_U8"
    known = Known.NO_SOUND if not len(samples) else Known.LENGTH if sure else Known.NOTHING
    return SoundFile(suffix, data, Said(rate, samples.shape[1], len(samples)), known)


def _open(random: Random) -> SoundFile:
    """FLAC from a pipe, and MP3 whose frames nothing counts."""
    rate = random.choice((16_000, 44_100, 48_000))
    samples = _samples(random, random.randint(3_000, 40_000), random.choice((1, 2)))
    said = Said(rate, samples.shape[1], len(samples))
    if random.random() < 0.5:
        data = coded.coded(("flac", "FLAC", "PCM_16"), samples, rate)
        return SoundFile("flac", coded.of_unknown_length(data or b""), said, Known.LENGTH)
    data, count = coded.without_count(coded.coded(("mp3", "MP3", "MPEG_LAYER_III"), samples, rate) or b"")
    return SoundFile("mp3", data, Said(rate, samples.shape[1], count), Known.LENGTH)
