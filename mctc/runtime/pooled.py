"""A recording through a build whose results have no time: a vector, or scores, of a whole utterance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from time import perf_counter

import numpy as np

from mctc.driver.options import BuildError
from mctc.ir.op import Array
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.runtime.built import Built, BuiltFunction, BuiltPort
from mctc.runtime.encoder import existing, frames_input, to_port
from mctc.runtime.fed import heard
from mctc.runtime.speech import chunks_of
from mctc.runtime.step import Packages
from mctc.runtime.stream import front_end_of


@dataclass(frozen=True)
class Pooled:
    """Results by name, without axes of extent 1; the entries of those in `scores` are classes. Seconds of audio, and of
    work: front end and model."""

    results: Mapping[str, Array]
    scores: frozenset[str]
    audio_s: float
    mel_s: float
    model_s: float


def pooling(built: Built) -> BuiltFunction | None:
    """The function that hears a whole utterance and returns no frames; None where there is none."""
    audio = built.manifest["audio"]
    function = None if audio is None else built.functions.get(audio["function"])
    if function is None or built.manifest["functions"][function.name]["streams"]:
        return None
    return None if function.over_time() else function


def pool(built: Built, audio: Path, precision: str | None = None, checkpoint: Path | None = None) -> Pooled:
    """The results for a recording of at most one utterance, with silence behind it.

    Raises AudioError for a recording that can't be read, BuildError for a longer one or a build of another kind,
    FedError for log-mel frames that the spec rules out.
    """
    function = pooling(built)
    if function is None:
        raise BuildError(f"{built.folder} has no function that hears an utterance and returns results without time")
    exists = built.exists(function.name)
    port, config = frames_input(function, exists), front_end_of(built)
    if len(function.inputs) > (1 if exists is None else 2):
        raise BuildError(f"{function.name} takes more than log-mel frames, so a recording alone can't be fed to it")
    step = Packages(built, precision, lambda program: built.values(program, checkpoint)).step(function.name)
    started = perf_counter()
    parts = list(chunks_of(config, audio, port.frames or 1, once=True))
    if not parts:
        raise BuildError(f"{audio} holds no frame of audio")
    (chunk, frames), coded = parts[0], perf_counter()
    chunk = heard(port.spec, chunk, math.ceil(frames), port.domain)
    results = step({port.spec: to_port(chunk, port), **existing(function, exists, frames)})
    done, seconds = perf_counter(), float(frames / Fraction(config.rate))
    shown = {each.spec: _shown(built, function, each, results[each.spec]) for each in function.outputs}
    scores = {each.spec for each in function.outputs if each.type.find(Role.VOCABULARY) is not None}
    return Pooled(shown, frozenset(scores), seconds, coded - started, done - coded)


def _shown(built: Built, function: BuiltFunction, port: BuiltPort, array: Array) -> Array:
    """A result without axes of extent 1, and without the entries that pad a vocabulary."""
    axis = port.type.find(Role.VOCABULARY)
    if axis is not None:
        array = np.take(array, built.vocabulary(function.name, port).tokens, axis)
    return np.asarray(np.squeeze(array), np.float64)
