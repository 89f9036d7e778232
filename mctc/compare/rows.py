"""The quantities of a comparison: a label for each, and how it is read from a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mctc.compare.measured import Component, Deployed, Measured
from mctc.records import dataclass

NONE, NOT_BUILT = "-", "not built"
UNITS = (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3))


@dataclass(frozen=True)
class Figure:
    """A quantity of every model that is compared, in words. inner: it is part of the row above."""

    label: str
    cells: tuple[str, ...]
    inner: bool = False


def rows(models: Sequence[Measured]) -> Iterator[Figure]:
    """All that is known of the models; what no model has is left out."""
    for label, read in FIGURES:
        row = Figure(label, tuple(map(read, models)))
        if label not in OPTIONAL or set(row.cells) != {NONE}:
            yield row
        if label in PARTS:
            yield from _parts(models, PARTS[label])
    if all(model.deployed is None for model in models):
        yield Figure("placement, memory", tuple(NOT_BUILT for _ in models))
        return
    for label, told in PACKAGE:
        yield Figure(label, tuple(NOT_BUILT if m.deployed is None else told(m.deployed) for m in models))


def _parts(models: Sequence[Measured], read: Callable[[Component], float | None]) -> Iterator[Figure]:
    """A row for each component that a figure is of, in the order of the specs."""
    names = dict.fromkeys(each.name for model in models for each in model.components if read(each) is not None)
    for name in names if len(names) > 1 else ():
        cells = [[read(each) for each in model.components if each.name == name] for model in models]
        yield Figure(name, tuple(amount(found[0]) if found else NONE for found in cells), inner=True)


def amount(number: float | None, unit: str = "") -> str:
    """'1.23 G', three digits; '-' for None."""
    if number is None:
        return NONE
    for prefix, size in UNITS:
        if number >= 0.9995 * size:
            return f"{_three(number / size)} {prefix}{unit}"
    return f"{_three(number)} {unit}".strip()


def _three(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}" if number % 1 else f"{number:.0f}"


def latency(model: Measured) -> str:
    """'320 ms', or '30 s (all)' for a model that needs the whole utterance."""
    if model.latency_s is None:
        return NONE
    return f"{1000 * model.latency_s:g} ms" if model.streams else f"{model.latency_s:g} s (all)"


def _states(model: Measured) -> str:
    return f"{model.states}, {amount(model.state_bytes, 'B')}" if model.states else "none"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


FIGURES: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("parameters", lambda m: amount(m.parameters)),
    ("weights as stored", lambda m: amount(m.weight_bytes, "B")),
    ("MACs a second of audio", lambda m: amount(m.macs_per_second)),
    ("MACs a label", lambda m: amount(m.macs_per_label)),
    ("states, in fp16", _states),
    ("latency", latency),
    ("ops of the steps", lambda m: f"{m.ops:,}"),
)
OPTIONAL = ("MACs a label",)
PARTS: dict[str, Callable[[Component], float | None]] = {
    "MACs a second of audio": lambda each: each.macs_per_second,
    "MACs a label": lambda each: each.macs if each.over == "label" else None,
}
PACKAGE: tuple[tuple[str, Callable[[Deployed], str]], ...] = (
    ("ops of the package", lambda d: f"{d.ops:,}"),
    ("the engine takes", lambda d: f"{d.eligible:,}"),
    ("predicted on it", lambda d: _percent(d.on_engine)),
    ("too close to call", lambda d: _percent(d.doubtful)),
    ("device switches", lambda d: str(d.switches)),
    ("memory of tensors", lambda d: amount(d.memory, "B")),
    ("the same, padded", lambda d: amount(d.padded, "B")),
    ("lint errors", lambda d: str(d.errors)),
)
