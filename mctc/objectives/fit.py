"""Which components of a program an objective trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mctc.ir.program import Program
from mctc.objectives.components import (
    Frames,
    FramesAndLabels,
    Hearing,
    Labels,
    frames,
    frames_and_labels,
    labels,
)
from mctc.objectives.transducers import Transducer, transducer

Fit = Transducer | Frames | Labels | FramesAndLabels
Settings = Mapping[str, Any]


def fit(program: Program, objective: str, settings: Settings) -> Fit:
    """The components of `objective`, a name of the table, with the settings that are given. Raises MisfitError, which
    says what is missing."""
    return FITS[objective](program, settings)


def hearing_of(found: Fit) -> Hearing:
    """What runs over time in the components that play the parts of an objective."""
    if isinstance(found, FramesAndLabels):
        return found.labels.hearing
    return found.hearing


FITS: Mapping[str, Callable[[Program, Settings], Fit]] = {
    "rnnt": lambda program, _: transducer(program),
    "tdt": lambda program, settings: transducer(program, len(settings["durations"])),
    "ctc": lambda program, _: frames(program),
    "cross_entropy": lambda program, _: labels(program),
    "joint_ctc_attention": lambda program, _: frames_and_labels(program),
}
