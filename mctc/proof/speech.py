"""How much speech is fed to what hears."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.ir.program import Program
from mctc.ir.types import Role
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
