"""The objectives of a `train` section and the settings of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from mctc.records import dataclass


class Kind(str, Enum):
    """What a setting takes, in the words of a diagnostic."""

    CLASS = "a class: a whole number from 0 on"
    CLASSES = "a class, or a list of classes: whole numbers from 0 on"
    COUNT = "a count: a whole number from 0 on"
    COUNTS = "a list of different counts, whole numbers from 0 on, of which one is at least 1"
    SHARE = "a share: a number from 0 to 1"
    FLAG = "true or false"
    NUMBER = "a number from 0 on"
    NAME = "the name of an argument: `speaker`"
    PLACE = 'a component, or the path of a part of it as a string: `encoder`, `"encoder.layers.3"`'


REQUIRED: Final = object()
"""The default of a setting that has none."""


@dataclass(frozen=True)
class Setting:
    kind: Kind
    default: Any = REQUIRED
    below_one: bool = False  # of a share


BLANK = Setting(Kind.CLASS, 0)
SMOOTHING = Setting(Kind.SHARE, 0, below_one=True)
ZERO_INFINITY = Setting(Kind.FLAG, False)
EARLY = {"fast_emit": Setting(Kind.NUMBER, 0), "delay_penalty": Setting(Kind.NUMBER, 0)}

Table = Mapping[str, Mapping[str, Setting]]

OBJECTIVES: Table = {
    "rnnt": {"blank": BLANK, **EARLY},
    "tdt": {"blank": BLANK, "durations": Setting(Kind.COUNTS), "sigma": Setting(Kind.NUMBER, 0), **EARLY},
    "ctc": {"blank": BLANK, "zero_infinity": ZERO_INFINITY},
    "cross_entropy": {
        "begin": Setting(Kind.CLASSES),
        "end": Setting(Kind.CLASS),
        "prompt": Setting(Kind.CLASSES, ()),
        "context": Setting(Kind.COUNT, None),
        "heading": Setting(Kind.CLASS, None),
        "label_smoothing": SMOOTHING,
        "ignored": Setting(Kind.CLASS, None),
    },
    "joint_ctc_attention": {
        "blank": BLANK,
        "begin": Setting(Kind.CLASSES, 1),
        "end": Setting(Kind.CLASS, 2),
        "ctc_weight": Setting(Kind.SHARE, 0.3),
        "label_smoothing": SMOOTHING,
        "ignored": Setting(Kind.CLASS, None),
        "zero_infinity": ZERO_INFINITY,
    },
}
"""Settings by the name of the objective.

blank: the class that says nothing. begin: what stands before the first label and costs nothing; end: what follows the
last one. prompt: what stands before the frames of a decoder whose sequence begins with frames. context: how many of its
classes stand before what is told of a recording, such as names in it. heading: the class that ends what a text says of
itself, such as its language, before it begins. ignored: a label that is
heard and costs nothing. label_smoothing: the share of a target's probability that is spread over all classes.
ctc_weight: the share of CTC in the sum. fast_emit, delay_penalty: how strongly labels are drawn to earlier frames.
durations: how many frames each of the joiner's logits of durations goes on. sigma: what is taken off the
log-probability of each token, so that longer durations pay.
zero_infinity: an utterance of more labels than its frames hold costs nothing.
"""

OF_CLASSES = {
    "of": Setting(Kind.PLACE),
    "weight": Setting(Kind.NUMBER),
    "classes": Setting(Kind.COUNT),
    "targets": Setting(Kind.NAME),
    "dropout": Setting(Kind.SHARE, 0, below_one=True),
    "label_smoothing": SMOOTHING,
    "ignored": Setting(Kind.CLASS, None),
}

AUXILIARIES: Table = {
    "ctc": {
        "of": Setting(Kind.PLACE, None),
        "weight": Setting(Kind.NUMBER),
        "classes": Setting(Kind.COUNT, None),
        "targets": Setting(Kind.NAME, None),
        "blank": Setting(Kind.CLASS, None),
        "dropout": Setting(Kind.SHARE, 0, below_one=True),
        "zero_infinity": Setting(Kind.FLAG, True),
    },
    "frame_classes": OF_CLASSES,
    "utterance_classes": OF_CLASSES,
}
"""Settings of auxiliary objectives by their name.

of: what the head reads; CTC without it is of the model's own classes of frames. weight: what the loss is multiplied
with. classes, targets: of another task, how many it has and the argument of the loss that names them; those of the
objective, where CTC has none. blank: that of the objective, where it is not given; 0 of another task.
dropout: of what the head reads. zero_infinity: true, for the objective may have room for more labels than CTC has.
frame_classes, utterance_classes: a class for each frame of the part, or for the mean over an utterance's frames.
"""


def complete(name: str, given: Mapping[str, Any], table: Table = OBJECTIVES) -> dict[str, Any]:
    """The settings of an objective with the defaults of those that are not given; lists as tuples."""
    told: dict[str, Any] = {}
    for key, setting in table[name].items():
        value = given.get(key, setting.default)
        told[key] = as_classes(value) if setting.kind in (Kind.CLASSES, Kind.COUNTS) else value
    return told


def as_classes(value: Any) -> tuple[int, ...]:
    """One number or several as several."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def classes_of(name: str, given: Mapping[str, Any], table: Table = OBJECTIVES) -> dict[str, tuple[int, ...]]:
    """The classes that the given settings name, by setting."""
    kinds = table[name]
    return {key: as_classes(value) for key, value in given.items() if kinds[key].kind in (Kind.CLASS, Kind.CLASSES)}
