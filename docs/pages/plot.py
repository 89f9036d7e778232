"""The picture of docs/architectures.md: latency against multiply-accumulates, both axes logarithmic, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import ceil, floor, log10

from mctc.compare.measured import Measured
from mctc.compare.rows import amount

TITLE = "Latency of the specs against their multiply-accumulates for a second of audio"
LINE = 14  # pixels from one line of names to the next
LETTER = 6.6  # pixels of a letter, about
GAP = 9  # from the middle of a point to its name

Mark = tuple[str, int, int, bool]  # a model's name, where its point is, and whether it streams
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Frame:
    """The size of the picture and where its axes run, in pixels."""

    width: int = 820
    height: int = 520
    left: int = 64
    right: int = 790
    top: int = 40
    bottom: int = 464


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis: values from low to high at pixels from `start` to `end`."""

    low: float
    high: float
    start: int
    end: int

    def at(self, value: float) -> int:
        share = (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return round(self.start + share * (self.end - self.start))


@dataclass(frozen=True)
class Tick:
    at: int
    label: str


@dataclass(frozen=True)
class Point:
    """A model, and the place of its name."""

    name: str
    x: int
    y: int
    streams: bool
    label_x: int
    label_y: int
    anchor: str


def svg(models: Sequence[Measured]) -> str:
    """The picture. Models without a latency or without arithmetic over time are left out."""
    from jinja2 import Environment, StrictUndefined

    frame = Frame()
    known = [(m, m.latency_s, m.macs_per_second) for m in models]
    drawn = [(model, late, macs) for model, late, macs in known if late is not None and macs]
    seconds = _scale([late for _, late, _ in drawn], frame.left, frame.right)
    macs = _scale([count for _, _, count in drawn], frame.bottom, frame.top)
    marks = [(m.model, seconds.at(late), macs.at(count), m.streams) for m, late, count in drawn]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(files(__package__).joinpath("plot.svg.j2").read_text(encoding="utf-8")).render(
        title=TITLE,
        frame=frame,
        across=[Tick(seconds.at(each), _seconds(each)) for each in _rounds(seconds.low, seconds.high)],
        up=[Tick(macs.at(each), amount(each)) for each in _rounds(macs.low, macs.high)],
        points=list(_named(marks, frame)),
    )
    return f"{text.rstrip()}\n"


def _scale(values: Sequence[float], start: int, end: int) -> Scale:
    """Over round numbers that hold all values between them."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    below = max(each for each in _rounds(low / 10, low) if each < low)
    above = min(each for each in _rounds(high, high * 10) if each > high)
    return Scale(below, above, start, end)


def _rounds(low: float, high: float) -> list[float]:
    """The numbers 1, 2 and 5 times powers of ten from about `low` to about `high`, in order."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    every = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    return [each for each in every if low * 0.999 <= each <= high * 1.001]


def _seconds(value: float) -> str:
    return f"{1000 * value:g} ms" if value < 1 else f"{value:g} s"


def _named(marks: Sequence[Mark], frame: Frame) -> Iterator[Point]:
    """Every name beside its point, where it covers no point and no name before it; else as far down as is free."""
    taken: list[Box] = [(x - GAP, y - GAP, x + GAP, y + GAP) for _, x, y, _ in marks]
    for name, x, y, streams in sorted(marks, key=lambda mark: (mark[2], mark[1], mark[0])):
        width = LETTER * len(name)
        for label_x, label_y, anchor in _places(x, y):
            left = {"start": label_x, "end": label_x - width, "middle": label_x - width / 2}[anchor]
            box = (left, label_y - LINE + 3, left + width, label_y + 2)
            inside = frame.left <= box[0] and box[2] <= frame.width and box[3] <= frame.bottom
            if inside and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        yield Point(name, x, y, streams, label_x, label_y, anchor)


def _places(x: int, y: int) -> Iterator[tuple[int, int, str]]:
    """Where a name may stand: right or left of its point, above, below, then farther and farther off."""
    yield from ((x + GAP, y + 4, "start"), (x - GAP, y + 4, "end"), (x, y - GAP, "middle"), (x, y + GAP + 9, "middle"))
    for lines in range(1, 30):
        for step in (-lines * LINE // 2, lines * LINE // 2):
            yield from ((x - GAP, y + 4 + step, "end"), (x + GAP, y + 4 + step, "start"))


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
