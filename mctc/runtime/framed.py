"""A recording through a build whose result over time is neither classes nor made for a search: numbers, or sound."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np

from mctc.audio.front_end import FrontEnd
from mctc.audio.samples import SampleConfig
from mctc.decode.frames import Floats
from mctc.driver.options import BuildError
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.runtime.built import Built, BuiltFunction, BuiltPort
from mctc.runtime.encoder import Encoder, frames_input, frames_output
from mctc.runtime.speech import chunks_of
from mctc.runtime.step import Packages, shared
from mctc.runtime.stream import front_end_of


@dataclass(frozen=True)
class Series:
    """One result over time. name: of the result. frames: [frames, channels]. rate: of frames, in Hz."""

    name: str
    frames: Floats
    rate: Fraction


@dataclass(frozen=True)
class Framed:
    """The results over time of a recording, in the order of the spec.

    sound_rate: of samples, where the channels of the first are samples that follow one another; None for
    other numbers. audio_s: of the recording; model_s: of work. left_out: results that are no frames of channels.
    """

    series: tuple[Series, ...]
    sound_rate: int | None
    audio_s: float
    model_s: float
    left_out: tuple[str, ...] = ()

    def is_sound(self, series: Series) -> bool:
        """Whether a result's channels are samples that follow one another, at the rate of the recording's."""
        return self.sound_rate is not None and series.rate * series.frames.shape[1] == Fraction(self.sound_rate)


def framing(built: Built) -> BuiltFunction | None:
    """The function that hears and gives numbers over time; None where there is none, where they are classes, and where
    something goes along labels."""
    audio = built.manifest["audio"]
    function = None if audio is None else built.functions.get(audio["function"])
    if function is None or any(each.role is Role.LABEL for each in built.functions.values()):
        return None
    outputs = function.over_time()
    classes = any(port.type.find(Role.VOCABULARY) is not None for port in outputs)
    return function if outputs and not classes else None


def sound_rate(built: Built) -> int | None:
    """Of samples, where the first result's channels are samples that follow one another; None for other numbers."""
    function, config = framing(built), front_end_of(built)
    if function is None or not isinstance(config, SampleConfig):
        return None
    output = frames_output(function)
    width = math.prod(output.type.shape) // (output.frames or 1)
    chunk = frames_input(function, built.exists(function.name)).frames or 1
    return config.sample_rate if _rate(config, output, chunk) * width == config.sample_rate else None


def frames_over(built: Built, audio: Path, precision: str | None = None, checkpoint: Path | None = None) -> Framed:
    """The results for a recording. What is behind its end is silence to the model, and no part of a result.

    Raises AudioError for a recording that can't be read, BuildError for one that is longer than the one utterance that
    a build takes and for a build of another kind.
    """
    function = framing(built)
    if function is None:
        raise BuildError(f"{built.folder} has no function that hears and gives numbers over time")
    config, exists, once = front_end_of(built), built.exists(function.name), not built.lengths.streams
    packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
    first, *others = function.over_time()
    given = [first, *(port for port in others if _has_channels_alone(port))]
    encoders = [
        Encoder(step, port, exists) for step, port in zip(shared(packages.step(function.name), len(given)), given)
    ]
    started, heard, parts = perf_counter(), Fraction(0), [list[Floats]() for _ in given]
    for chunk, count in chunks_of(config, audio, encoders[0].chunk, once=once):
        for encoder, made in zip(encoders, parts):
            made.append(encoder.push(chunk, count))
        heard += count
    frames = [np.concatenate([*made, encoder.finish()]) for encoder, made in zip(encoders, parts)]
    done, names = perf_counter(), [port.spec for port in given]
    return Framed(
        tuple(Series(p.spec, each, _rate(config, p, encoders[0].chunk)) for p, each in zip(given, frames)),
        sound_rate(built),
        float(heard / config.rate),
        done - started,
        tuple(port.spec for port in function.outputs if port.spec not in names),
    )


def _rate(config: FrontEnd, output: BuiltPort, chunk: int) -> Fraction:
    """Frames of an output in a second; chunk: frames that a call takes."""
    return Fraction(config.rate) * (output.frames or 1) / chunk


def _has_channels_alone(port: BuiltPort) -> bool:
    """Whether an output is frames of channels."""
    time = port.type.find(Role.TIME)
    return sum(extent > 1 for at, extent in enumerate(port.type.shape) if at != time) <= 1
