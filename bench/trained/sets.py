"""Every test by every system, and what quantisation, fp16 and streaming change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from bench.trained.cells import change, late, markdown, rate
from bench.trained.conditions import PLAIN, manifests
from bench.trained.model import HALF, MODULE, PACKAGE, STORED, STREAMED, SYSTEMS, Heard, Model, System

PAIRS = (
    ("streamed, against the whole utterance at once", MODULE, STREAMED),
    ("int4/int8 against fp32, onnxruntime", STREAMED, STORED),
    ("the package in fp16, streamed, against the fp32 module, whole", MODULE, HALF),
    ("the package's int4/int8 against its fp16", HALF, PACKAGE),
    ("the package against onnxruntime, the same int4/int8", STORED, PACKAGE),
)

Tests = Mapping[str, Sequence[Heard]]
Found = Mapping[System, Tests]


def table(model: Model) -> str:
    """Words wrong by test, differences over all of them, and how late words come."""
    found = {system: plain(model, system) for system in SYSTEMS}
    rows = [[name, _count(found, name), *(rate(found[system][name]) for system in SYSTEMS)] for name in model.sets]
    rows.append(["all together", _count(found, *model.sets), *(rate(together(found[system])) for system in SYSTEMS)])
    headings = [system.name if system is MODULE else f"{system.name}, streamed" for system in SYSTEMS]
    changes = ([told, *_change(found[one], found[other])] for told, one, other in PAIRS)
    delays = ([system.name, *late(together(found[system]))] for system in SYSTEMS)
    return "\n".join(
        [
            "### By test: words wrong, with their 95 % interval\n",
            markdown(["test", "utterances", *headings], rows),
            "### What streaming, fp16 and quantisation change: words wrong, points, over the same utterances\n",
            markdown(["", "points", "95 %", "heard differently"], changes),
            "### From the end of a word to the emission of its last label, beyond the chunk\n",
            markdown(["", "median", "90 %", "words"], delays),
        ]
    )


def plain(model: Model, system: System) -> dict[str, list[Heard]]:
    """The tests as they are, by a system; a slow one hears the first utterances of each."""
    limit = model.asked.sample if system.slow else None
    return model.heard(system, manifests(model, PLAIN, limit), f"sets-{limit or 'all'}")


def together(tests: Tests) -> list[Heard]:
    return [*chain.from_iterable(tests.values())]


def _count(found: Found, *names: str) -> str:
    """How many, and how many of them by the slow systems."""
    fast, slow = (sum(len(found[system][name]) for name in names) for system in (STORED, PACKAGE))
    return f"{fast}" if fast == slow else f"{fast}, {slow} by packages"


def _change(one: Tests, other: Tests) -> tuple[str, str, str]:
    """Over the utterances that both heard, the first ones of each test."""
    shared = {name: min(len(one[name]), len(other[name])) for name in one}
    return change(*([each for name in one for each in side[name][: shared[name]]] for side in (one, other)))
