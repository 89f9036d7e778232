"""The front end of a model: what its `audio` section says of the frames that an input takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver.compiled import Compiled
from mctc.driver.decoder import given
from mctc.driver.names import SAMPLES
from mctc.ir.domain import MASK
from mctc.ir.program import Function, Value
from mctc.ir.types import Role
from mctc.streaming.context import VALID
from mctc.streaming.step_info import StepInfo

if TYPE_CHECKING:
    from mctc.audio.front_end import FrontEnd

MEL, BINS = "mel", (80, 128)  # the name of an input of log-mel frames; how many bins they have where no section is
METADATA = "mctc.audio"  # among the metadata of artifacts
FIELDS = {"rate": "sample_rate", "low": "f_min", "high": "f_max"}  # what MelConfig calls settings of the section
IN_SAMPLES = ("window", "hop", "shortest")  # settings in seconds, which MelConfig has in samples
WHOLE_RECORDING = ("centred", "decades", "normalise", "shortest", "zeros")  # settings that need all of it
WHOLE = "leave `centred`, `decades`, `normalise`, `shortest` and `zeros` out, or the stream section"


def front_end(compiled: Compiled) -> dict[str, Any] | None:
    """The front end, where an input is log-mel frames, or frames of samples: time at the front end's rate by as many
    bins as it makes.

    `exists` is the input of the same function that says which frames or samples exist, None where there is none. Raises
    LocatedError for an audio section that can't be.
    """
    for name, function in compiled.deployed.functions.items():
        step = compiled.steps.get(name)
        for value in function.inputs:
            bins = next((axis.extent.value for axis in value.type.axes if axis.role in (Role.CHANNEL, Role.FEATURE)), 0)
            if step is None or step.role is not Role.TIME or value.name not in (MEL, SAMPLES):
                continue
            if not compiled.whole.audio.settings and (value.name == SAMPLES or bins not in BINS):
                continue
            config = _config(compiled, value.name, bins)
            if step.rate_of(value.name) in (None, config.rate):
                masks = list(_masks(function, step, value))
                told = {"function": name, "input": value.name, "exists": masks[0] if len(masks) == 1 else None}
                kind = {"kind": "samples"} if value.name == SAMPLES else {}
                return {**told, **kind, **asdict(config)}
    return None


def metadata(compiled: Compiled) -> dict[str, str]:
    """What artifacts tell of the front end, where the spec has an audio section: the manifest's `audio`, as JSON."""
    found = front_end(compiled) if compiled.whole.audio.settings else None
    return {} if found is None else {METADATA: json.dumps(found, sort_keys=True)}


def _masks(function: Function, step: StepInfo, frames: Value) -> Iterator[str]:
    """Inputs that say of each frame, or of each sample of it, whether it exists: 1 or 0."""
    for value in function.inputs:
        alike = step.frames.get(value.name, 0) == step.frames.get(frames.name)
        each = _is_row(value) or (frames.name == SAMPLES and value.type.axes == frames.type.axes)
        if alike and value.name not in (frames.name, VALID) and function.domain(value) == MASK and each:
            yield value.name


def _is_row(value: Value) -> bool:
    rest = [axis.extent for axis in value.type.axes if axis.role not in (Role.TIME, Role.BATCH)]
    return all(extent.is_static and extent.value == 1 for extent in rest)


def _config(compiled: Compiled, kind: str, bins: int) -> FrontEnd:
    from mctc.audio.mel import MelConfig
    from mctc.audio.samples import SampleConfig

    audio, name = compiled.whole.audio, compiled.whole.name
    try:
        if kind == SAMPLES:
            if more := [key for key in audio.settings if key not in ("rate", "normalise")]:
                raise ValueError(f"{more[0]} is about log-mel frames, and the input takes samples as they are")
            if (rate := audio.quantity("rate")) is None:
                raise ValueError("the rate of the samples is not set")
            config: FrontEnd = SampleConfig(int(rate), max(1, bins), **_chosen(audio.settings, "normalise"))
            _refuse_in_streams(compiled, config)
            return config
        config = MelConfig(bins=bins, **_fields(audio.settings))
    except ValueError as error:
        told = str(error).removeprefix("MelConfig: ").removeprefix("SampleConfig: ")
        for setting, field in FIELDS.items():
            told = told.replace(field, setting)
        named = told.split(maxsplit=1)[0]
        place = audio.places.get(named, next(iter(audio.places.values()), None))
        raise LocatedError("MCT0207", f"the audio section of {name}: {told}", place) from error
    _refuse_in_streams(compiled, config)
    return config


def _refuse_in_streams(compiled: Compiled, config: FrontEnd) -> None:
    """Raises LocatedError where a model streams, and its frames need the whole recording."""
    audio, name = compiled.whole.audio, compiled.whole.name
    waits = given(compiled.whole).component is not None  # a decoder, which begins when all has been heard
    if compiled.lengths.streams and not config.streams and not waits:
        at_fault = [key for key in WHOLE_RECORDING if key in audio.places]
        raise LocatedError(
            "MCT0207",
            f"{name} is streamed, and its audio section needs the whole recording",
            next((audio.places[key] for key in at_fault), None),
            hint=WHOLE,
        )


def _chosen(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: settings[name] for name in names if name in settings}


def _fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the section as MelConfig has them. Raises ValueError for lengths that are no whole samples."""
    fields = {FIELDS.get(key, key): value for key, value in settings.items()}
    if "sample_rate" in fields and Fraction(fields["sample_rate"]).denominator != 1:
        raise ValueError("rate must be a whole number of Hz")
    rate = fields.get("sample_rate", 16_000)
    if rate != 16_000:
        fields.setdefault("f_max", rate / 2)
    for key in IN_SAMPLES:
        if key in fields:
            samples = Fraction(fields[key]) * rate
            if samples.denominator != 1:
                raise ValueError(f"{key} must be a whole number of samples at {rate} Hz, not {float(samples):g}")
            fields[key] = int(samples)
    return fields
