"""The package, over the battery, against the program over the whole sequence."""

from __future__ import annotations

from bench.row import Row
from bench.setting import Setting
from mctc.numerics.limits import FP16, FP32
from mctc.proof.ladder import SPEECH_S, Ladder
from mctc.proof.rung import Rung

COMPONENTS = ("encoder", "predictor", "joiner")


def rows(setting: Setting) -> list[Row]:
    """Every component by the rungs of `mctc verify`."""
    rungs = list(Ladder(setting.built, witnesses=[]).climb())
    errors, ratios = (_of(rungs, f"package evaluator, {precision}") for precision in ("fp32", "fp16"))
    return [
        Row(
            f"fp32 evaluation of the package, streamed over the battery with {SPEECH_S:g} s of speech, against the "
            "whole-sequence IR evaluation: " + " / ".join(COMPONENTS),
            f"≤ {FP32} relative",
            " / ".join(rung.measured for rung in errors),
            all(rung.ok for rung in errors),
            "largest difference over largest magnitude, float64 on the other side, the same stored weights on both",
        ),
        Row(
            "fp16 evaluation against the same: " + " / ".join(COMPONENTS),
            f"≥ {FP16} signal to noise",
            " / ".join(rung.measured for rung in ratios),
            all(rung.ok for rung in ratios),
        ),
    ]


def _of(rungs: list[Rung], name: str) -> list[Rung]:
    return [rung for component in COMPONENTS for rung in rungs if (rung.name, rung.component) == (name, component)]
