"""What is fed to what hears, and how much speech is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mctc.audio.front_end import FrontEnd
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.ir.types import Role
from mctc.numerics.battery import BROKEN, NOISE, SILENCE
from mctc.streaming.step_info import StepInfo

SPEECH_S, LONG_SPEECH_S = 2.0, 5.0  # the second where a state holds more than the first fills


def speech_s(derived: Program, steps: Mapping[str, StepInfo]) -> float:
    """Seconds of speech that fill every state of the steps and move it on.

    A call depends on its inputs and its states alone: what a state that is full does to the next call, one call shows.
    """
    for name, step in steps.items():
        rates = [rate for result in step.timings if (rate := step.rate_of(result)) is not None]
        held = [state.value.type for state in derived.functions[name].states]
        frames = [type_.shape[axis] for type_ in held if (axis := type_.find(Role.TIME)) is not None]
        if rates and frames and max(frames) > SPEECH_S * min(rates):
            return LONG_SPEECH_S
    return SPEECH_S


def heard(front_end: FrontEnd | None, seconds: float) -> dict[str, Array]:
    """Frames [frames, bins] of so many seconds of the bundled recording, of digital silence, and of a recording that
    falls silent in between, by the name of the battery's item; none without a front end."""
    if front_end is None:
        return {}
    from mctc.audio import bundled_recording, frames_of, load_audio

    speech = load_audio(bundled_recording(), front_end.sample_rate)[: int(seconds * front_end.sample_rate)]
    broken = speech[: len(speech) // 2].copy()
    broken[len(broken) // 3 : 2 * len(broken) // 3] = 0
    samples = {NOISE: speech, SILENCE: np.zeros_like(speech[: len(speech) // 4]), BROKEN: broken}
    return {item.name: frames_of(each, front_end) for item, each in samples.items()}
