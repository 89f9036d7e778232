"""How the cost of a build grows with a model: one size after the other is made larger, the others stay small.

    python -m bench.growth docs/images/growth.svg

Prints CPU seconds and peak memory of every build, and draws both against the sizes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log, log10
from pathlib import Path
from xml.sax.saxutils import escape

from bench.setting import Setting

COMPONENTS = "component part{n}(x: f32[B, T, 32]) -> f32[B, T, 32] {{ return x + linear(layer_norm(x), 32) }}"


@dataclass(frozen=True)
class Axis:
    """A size that grows: the values that it takes, the arguments of `mctc build` for one of them, and the power with
    which the work grows: parameters grow with the square of a width."""

    name: str
    values: tuple[int, ...]
    arguments: Sequence[str] = ()
    power: int = 1
    generated: bool = False  # the spec itself is written for each value

    def given(self, setting: Setting, value: int) -> list[str | Path]:
        if self.generated:
            return [_many_functions(setting.work, value)]
        return [setting.small, *(each.format(value) for each in self.arguments)]


AXES = (
    Axis("depth, width 64", (8, 32, 128, 256, 512), ("-D", "depth={}", "-D", "width=64")),
    Axis("width, depth 2", (128, 256, 512, 1024, 2048), ("-D", "width={}", "-D", "depth=2"), power=2),
    Axis("vocabulary", (500, 2_000, 10_000, 50_000, 100_000), ("-D", "vocab={}", "-D", "depth=2")),
    Axis("frames of a chunk", (4, 16, 64, 256), ("--chunk", "{}", "-D", "depth=2")),
    Axis("functions", (1, 4, 16, 64), generated=True),
)


@dataclass(frozen=True)
class Cost:
    """A build of one size: its CPU seconds and the most memory that it held, in megabytes."""

    value: int
    seconds: float
    megabytes: float


def costs(setting: Setting, axis: Axis) -> Iterator[Cost]:
    """A build for each value of an axis."""
    for value in axis.values:
        folder = setting.work / f"grown_{value}"
        used = setting.run([setting.mctc, "build", *axis.given(setting, value), "-o", folder])
        yield Cost(value, used.cpu, used.peak / 1e6)


def slope(found: Sequence[Cost], fixed: float) -> float:
    """The power of the size with which the last step of the time grows, what every build costs left out."""
    (before, last) = found[-2:]
    return log(max(last.seconds - fixed, 1e-3) / max(before.seconds - fixed, 1e-3)) / log(last.value / before.value)


def _many_functions(folder: Path, count: int) -> Path:
    parts = "\n    ".join(COMPONENTS.format(n=n) for n in range(count))
    spec = folder / f"functions_{count}.mct"
    head = f"model functions_{count}() {{\n    dim B: batch\n    dim T: time @ 100 Hz\n    "
    spec.write_text(head + parts + "\n    stream { chunk = 80 ms }\n}\n", encoding="utf-8")
    return spec


WIDTH, HEIGHT, LEFT, BOTTOM, ACROSS, UP = 640, 420, 60, 370, 180, 80  # pixels; the last two of a power of ten
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e")


def svg(found: Mapping[str, Sequence[Cost]]) -> str:
    """CPU time of builds against the size that grows, both as multiples of the least, on logarithmic axes."""

    def x(value: float) -> float:
        return LEFT + ACROSS * log10(value)

    def y(value: float) -> float:
        return BOTTOM - UP * log10(value)

    title = "CPU time of a build against a size that grows, as multiples of the least"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif">',
        f'<g font-size="12"><title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>',
        f'<path d="M{LEFT},20 V{BOTTOM} H{WIDTH - 20}" fill="none" stroke="#444"/>',
        f'<text x="{LEFT}" y="14">{escape(title)}</text>',
        f'<path d="M{x(1)},{y(1)} L{x(1000):.0f},{y(1000):.0f}" stroke="#999" stroke-dasharray="4 4"/>',
        f'<text x="{x(1000) - 60:.0f}" y="{y(1000) - 6:.0f}" fill="#666">linear</text>',
    ]
    for power in (1, 10, 100, 1000):
        lines.append(f'<text x="{x(power):.0f}" y="{BOTTOM + 18}" text-anchor="middle">{power}x</text>')
        lines.append(f'<text x="{LEFT - 8}" y="{y(power) + 4:.0f}" text-anchor="end">{power}x</text>')
    for place, (colour, (name, costs)) in enumerate(zip(COLOURS, found.items())):
        least = costs[0]
        points = [(x(each.value / least.value), y(each.seconds / least.seconds)) for each in costs]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        told = f"{name}: {least.value:,} to {costs[-1].value:,}, {least.seconds:.1f} to {costs[-1].seconds:.1f} s"
        lines.append(f'<text x="{LEFT + 16}" y="{40 + 16 * place}" fill="{colour}">{escape(told)}</text>')
    return "\n".join([*lines, "</g></svg>", ""])


def main(out: Path) -> None:
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix="mctc-growth-") as folder:
        setting = Setting(root, Path(folder), None, 1)
        found: dict[str, list[Cost]] = {}
        for axis in AXES:
            found[axis.name] = []
            for cost in costs(setting, axis):
                found[axis.name].append(cost)
                print(f"{axis.name} {cost.value:,}: {cost.seconds:.2f} s, {cost.megabytes:.0f} MB", flush=True)
    out.write_text(svg(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
