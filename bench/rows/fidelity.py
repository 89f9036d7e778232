"""The package, streamed, against the program over the whole sequence."""

from __future__ import annotations

import numpy as np

from bench.built import Rows, Streamed, Whole, forms, signal_to_noise
from bench.row import Row
from bench.setting import Setting
from bench.speech import mel_of
from mctc.ir.op import Array
from mctc.rewrite.validate import relative_error

SECONDS, TOKENS = 10, 40
ERROR, DECIBELS = 1e-4, 40.0


def rows(setting: Setting) -> list[Row]:
    """Encoder over speech, predictor over random tokens, joiner over what these two gave."""
    whole, fp32, fp16 = forms(setting.built)
    mel, tokens = mel_of(SECONDS), np.random.default_rng(0).integers(1, 1001, TOKENS)
    tokens[0] = 0  # the blank starts every utterance
    expected = _run(whole, mel, tokens)
    single, half = _run(fp32, mel, tokens, expected), _run(fp16, mel, tokens, expected)
    errors = {name: relative_error(expected[name], single[name]) for name in expected}
    ratios = {name: signal_to_noise(expected[name], half[name]) for name in expected}
    others = "joiner in calls of 8 frames on the encoder's and predictor's whole-sequence results"
    return [
        Row(
            f"fp32 evaluation of the package, streamed over {SECONDS} s of speech, against the whole-sequence IR "
            "evaluation: " + " / ".join(errors),
            f"≤ {ERROR:.0e} relative",
            " / ".join(f"{error:.1e}" for error in errors.values()),
            max(errors.values()) <= ERROR,
            f"largest difference over largest magnitude; predictor over {TOKENS} tokens; {others}",
        ),
        Row(
            "fp16 evaluation against the same: " + " / ".join(ratios),
            f"≥ {DECIBELS:g} dB signal to noise",
            " / ".join(f"{ratio:.1f} dB" for ratio in ratios.values()),
            min(ratios.values()) >= DECIBELS,
        ),
    ]


def _run(model: Whole | Streamed, mel: Array, tokens: Array, given: dict[str, Rows] | None = None) -> dict[str, Rows]:
    """Results by function; the joiner works on `given`'s encoder and predictor results, the run's own without them."""
    encoded, predicted = model.encode(mel), model.predict(tokens)
    source = given or {"encoder": encoded, "predictor": predicted}
    frames = len(encoded) // 8 * 8
    joined = model.join(source["encoder"][:frames], source["predictor"][-1])
    return {"encoder": encoded, "predictor": predicted, "joiner": joined[:, :1001]}
