"""Whether fp16 loses its way when the state is carried for long."""

from __future__ import annotations

from bench.built import forms, signal_to_noise
from bench.row import Row
from bench.setting import Setting
from bench.speech import long_mel

MINUTES, MOST = 10, 3.0  # dB


def rows(setting: Setting) -> list[Row]:
    """Signal to noise of every minute of the encoder's output, fp16 against fp32, one stream from start to end."""
    _, fp32, fp16 = forms(setting.built)
    mel = long_mel(60 * MINUTES)
    expected, actual = fp32.encode(mel), fp16.encode(mel)
    minute = len(expected) // MINUTES
    ratios = [
        signal_to_noise(expected[start : start + minute], actual[start : start + minute])
        for start in range(0, minute * MINUTES, minute)
    ]
    lower = ratios[0] - ratios[-1]
    return [
        Row(
            f"drift: {MINUTES} minutes of speech streamed with the state carried, fp16 against fp32, "
            "last minute against first",
            f"≤ {MOST:g} dB lower",
            f"{lower:.1f} dB lower" if lower >= 0 else f"{-lower:.1f} dB higher",
            lower <= MOST,
            "dB by minute: " + ", ".join(f"{ratio:.1f}" for ratio in ratios),
        )
    ]
