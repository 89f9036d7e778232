"""The package, streamed, against the program over the whole sequence."""

from __future__ import annotations

from collections.abc import Callable

from bench.row import Row
from bench.setting import Setting
from bench.speech import short_mel
from mctc.evaluate.coreml import Precision
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.rewrite.validate import relative_error
from mctc.proof.ladder import Ladder, signal_to_noise
from mctc.proof.subject import Streams
from mctc.weights import Weights

COMPONENTS = ("encoder", "predictor", "joiner")
ERROR, DECIBELS = 1e-4, 40.0


def rows(setting: Setting) -> list[Row]:
    """Every component by the same streams as `mctc verify`, over all whole chunks of the recording."""
    ladder, mel = Ladder(setting.built), short_mel()

    def load(program: Program) -> Weights:
        return Weights(program.sources, ladder.built.seed or 0, cache=True)

    streams = Streams(ladder.built, ladder.whole, ladder.deployed, load, mel)
    chunk = ladder.built.chunk
    errors = {name: max(_each(streams, name, "fp32", relative_error)) for name in COMPONENTS}
    ratios = {name: min(_each(streams, name, "fp16", signal_to_noise)) for name in COMPONENTS}
    return [
        Row(
            "fp32 evaluation of the package, streamed over 10 s of speech, against the whole-sequence IR evaluation: "
            + " / ".join(COMPONENTS),
            f"≤ {ERROR:.0e} relative",
            " / ".join(f"{error:.1e}" for error in errors.values()),
            max(errors.values()) <= ERROR,
            f"largest difference over largest magnitude, float64 on the other side, the same stored weights on both; "
            f"{len(mel) // chunk} chunks of {chunk} frames of the bundled recording; "
            "the predictor over 32 tokens, the joiner over noise of as many frames",
        ),
        Row(
            "fp16 evaluation against the same: " + " / ".join(COMPONENTS),
            f"≥ {DECIBELS:g} dB signal to noise",
            " / ".join(f"{ratio:.1f} dB" for ratio in ratios.values()),
            min(ratios.values()) >= DECIBELS,
        ),
    ]


def _each(streams: Streams, name: str, precision: Precision, compare: Callable[[Array, Array], float]) -> list[float]:
    expected, actual = streams.utterance(name).results, streams.by_package(name, precision)
    return [compare(expected[key], actual[key]) for key in expected]
