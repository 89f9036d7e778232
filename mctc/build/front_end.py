"""The front end of a model: what its `audio` section says of the log-mel frames that an input takes."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mctc.build.compile import Compiled
from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.types import Role

if TYPE_CHECKING:
    from mctc.audio.mel import MelConfig

MEL, BINS = "mel", (80, 128)  # the name of an input of log-mel frames, and how many bins they have


def front_end(compiled: Compiled) -> dict[str, Any] | None:
    """The front end, where an input is log-mel frames: time at the front end's rate by as many bins as it makes.

    Raises LocatedError for an audio section that can't be.
    """
    for name, function in compiled.deployed.functions.items():
        step = compiled.steps.get(name)
        for value in function.inputs:
            bins = next((axis.extent.value for axis in value.type.axes if axis.role in (Role.CHANNEL, Role.FEATURE)), 0)
            if step is None or step.role is not Role.TIME or bins not in BINS or value.name != MEL:
                continue
            config = _config(compiled, bins)
            if step.rate_of(value.name) in (None, Fraction(config.sample_rate, config.hop)):
                return {"function": name, "input": value.name, **asdict(config)}
    return None


def _config(compiled: Compiled, bins: int) -> MelConfig:
    from mctc.audio.mel import MelConfig

    audio = compiled.whole.audio
    place = next(iter(audio.places.values()), None)
    try:
        config = MelConfig(bins=bins, **audio.settings)
    except ValueError as error:
        told = str(error).removeprefix("MelConfig: ")
        raise LocatedError("MCT0207", f"the audio section of {compiled.whole.name}: {told}", place) from error
    if compiled.lengths.streams and not config.streams:
        raise LocatedError(
            "MCT0207",
            f"{compiled.whole.name} is streamed, and its audio section needs the whole recording",
            place,
            hint="leave `centred` and `decades` out, or the stream section",
        )
    return config
