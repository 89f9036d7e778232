"""The package, over the battery, against the program over the whole sequence."""

from __future__ import annotations

from bench.row import Row
from bench.setting import Setting
from mctc.numerics.limits import FP16, FP32
from mctc.proof.check import Check
from mctc.proof.proof import Proof
from mctc.proof.speech import SPEECH_S

COMPONENTS = ("encoder", "predictor", "joiner")


def rows(setting: Setting) -> list[Row]:
    """Every component by the checks of `mctc verify`."""
    checks = list(Proof(setting.built, runtimes=[]).checks())
    errors, ratios = (_of(checks, f"package evaluator, {precision}") for precision in ("fp32", "fp16"))
    return [
        Row(
            f"fp32 evaluation of the package, streamed over the battery with {SPEECH_S:g} s of speech, against the "
            "whole-sequence IR evaluation: " + " / ".join(COMPONENTS),
            f"≤ {FP32} relative",
            " / ".join(check.measured for check in errors),
            all(check.ok for check in errors),
            "largest difference over largest magnitude, float64 on the other side, the same stored weights on both",
        ),
        Row(
            "fp16 evaluation against the same: " + " / ".join(COMPONENTS),
            f"≥ {FP16} signal to noise",
            " / ".join(check.measured for check in ratios),
            all(check.ok for check in ratios),
        ),
    ]


def _of(checks: list[Check], name: str) -> list[Check]:
    return [check for component in COMPONENTS for check in checks if (check.name, check.component) == (name, component)]
