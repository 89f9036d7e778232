"""A recording through a build whose result over time is neither classes nor made for a search: numbers, or sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np

from mctc.audio.samples import SampleConfig
from mctc.decode.frames import Floats
from mctc.driver.options import BuildError
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.runtime.built import Built, BuiltFunction
from mctc.runtime.encoder import Encoder
from mctc.runtime.speech import chunks_of
from mctc.runtime.step import Packages
from mctc.runtime.stream import front_end_of


@dataclass(frozen=True)
class Framed:
    """The first result over time of a recording.

    name: of the result. frames: [frames, channels]. rate: of frames, in Hz. sound_rate: of samples, where the channels
    of the frames are samples that follow one another; None for other numbers. audio_s: of the recording; model_s: of
    work. left_out: the other results of the function.
    """

    name: str
    frames: Floats
    rate: Fraction
    sound_rate: int | None
    audio_s: float
    model_s: float
    left_out: tuple[str, ...] = ()


def framing(built: Built) -> BuiltFunction | None:
    """The function that hears and gives numbers over time; None where there is none, where they are classes, and where
    something goes along labels."""
    audio = built.manifest["audio"]
    function = None if audio is None else built.functions.get(audio["function"])
    if function is None or any(each.role is Role.LABEL for each in built.functions.values()):
        return None
    outputs = function.streaming(function.outputs, Role.TIME)
    classes = any(port.type.find(Role.VOCABULARY) is not None for port in outputs)
    return function if outputs and not classes else None


def frames_over(built: Built, audio: Path, precision: str | None = None, checkpoint: Path | None = None) -> Framed:
    """The result for a recording. What is behind its end is silence to the model, and no part of the result.

    Raises AudioError for a recording that can't be read, BuildError for one that is longer than the one utterance that
    a build takes and for a build of another kind.
    """
    function = framing(built)
    if function is None:
        raise BuildError(f"{built.folder} has no function that hears and gives numbers over time")
    config = front_end_of(built)
    packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
    encoder, once = Encoder(packages.step(function.name), None, built.exists(function.name)), not built.lengths.streams
    started, heard, parts = perf_counter(), 0, list[Floats]()
    for chunk, count in chunks_of(config, audio, encoder.chunk, once=once):
        parts.append(encoder.push(chunk, count))
        heard += count
    frames = np.concatenate([*parts, encoder.finish()])
    done = perf_counter()
    rate = config.rate * (encoder.output.frames or 1) / encoder.chunk
    samples = config.samples(heard)
    sounds = isinstance(config, SampleConfig) and rate * frames.shape[1] == config.sample_rate
    return Framed(
        encoder.output.spec,
        frames,
        rate,
        config.sample_rate if sounds else None,
        samples / config.sample_rate,
        done - started,
        tuple(port.spec for port in function.outputs if port.spec != encoder.output.spec),
    )
