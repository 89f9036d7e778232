"""A build whose words are known without training, and recordings of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Says "a" where it is loud and a space where it is less loud, frame by frame.
SPEC = """model loud() {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 3

    component encoder(mel: f32[B, T, 80]) -> f32[B, T, V] {
        return linear(mel, V) as head
    }

    stream { chunk = 320 ms }
    train { objective = ctc(blank = 0) }
    tokens { letters = " a" }
}
"""
RATE = 16_000
SAID = "a a a"


def make_said(place: Path) -> Path:
    """Builds `trained`, `nameless` and `untrained`, and recordings: two of SAID, one broken."""
    import soundfile
    from safetensors.numpy import save_file

    from mctc.driver import BuildOptions, build

    (place / "loud.mct").write_text(SPEC)
    (place / "nameless.mct").write_text(SPEC.replace('    tokens { letters = " a" }\n', ""))
    # The mean of a frame's bins is -1.5 in silence and about -0.1 in the noise below.
    weight = np.repeat(np.array([[0.0], [1.0], [2.0]], np.float32) / 80, 80, axis=1)
    save_file(
        {"encoder.head.weight": weight, "encoder.head.bias": np.array([0, 1.2, 1.8], np.float32)},
        place / "w.safetensors",
    )
    trained = BuildOptions(weights=place / "w.safetensors")
    build(place / "loud.mct", place / "trained", trained)
    build(place / "nameless.mct", place / "nameless", trained)
    build(place / "loud.mct", place / "untrained", BuildOptions())
    noise = np.random.default_rng(0).normal(0, 3e-3, 3 * RATE // 10)
    sound = np.concatenate([part for _ in SAID.split() for part in (0 * noise, noise, noise / 30)])
    (place / "talks").mkdir()
    for name in ("one.wav", "two.flac"):
        soundfile.write(place / "talks" / name, sound, RATE)
    soundfile.write(place / "pause.wav", np.concatenate([sound, np.zeros(2 * RATE), sound]), RATE)
    (place / "broken.wav").write_bytes(b"no sound")
    (place / "talk.pcm").write_bytes(np.rint(sound * 2**15).astype("<i2").tobytes())
    return place
