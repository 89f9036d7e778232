"""The frontier of size against loss: a table for people, and a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from mctc.compress.layers import named
from mctc.compress.search import Choice, Form
from mctc.records import dataclass

WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 640, 400, 70, 350, 20  # pixels


@dataclass(frozen=True)
class Point:
    """A choice in a table. bytes: of all weights of the model; true: its measured loss, where it was tried."""

    called: str
    bytes: int
    predicted: float
    forms: str
    true: float | None = None


def point(choice: Choice, rest: int, called: str = "", true: float | None = None) -> Point:
    """rest: bytes of what stays in fp16 whatever is chosen."""
    return Point(called, choice.bytes + rest, choice.loss, counted(choice.forms), true)


def counted(forms: Mapping[str, Form]) -> str:
    """'12 int4, 9 palette3g16, 3 none', as --forms names them"""
    return ", ".join(f"{count} {named(form)}" for form, count in Counter(forms.values()).most_common())


def table(points: Sequence[Point]) -> list[str]:
    """A line a point: size, predicted and true loss, and how many weights take which form."""
    lines = [f"{'MB':>7} {'predicted':>10} {'true':>8}  forms"]
    for each in points:
        true = "" if each.true is None else f"{each.true:+.3f}"
        lines.append(f"{each.bytes / 1e6:7.3f} {each.predicted:10.4f} {true:>8}  {each.called}{each.forms}")
    return lines


def picture(points: Sequence[Point], title: str) -> str:
    """An SVG: bytes along, nats added up; a line through the searched points, rings where a loss was measured."""
    most = max([each.predicted for each in points] + [each.true or 0.0 for each in points] + [1e-9])
    widest = max(each.bytes for each in points)

    def place(size: int, loss: float) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - EDGE) * size / widest, BOTTOM - (BOTTOM - 2 * EDGE) * max(loss, 0.0) / most

    searched = [place(each.bytes, each.predicted) for each in points if not each.called]
    marks = [f'<polyline fill="none" stroke="#36c" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in searched)}"/>']
    for each in points:
        x, y = place(each.bytes, each.predicted)
        told = escape(f"{each.bytes / 1e6:.3f} MB, {each.predicted:.4f} nats: {each.called}{each.forms}")
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#36c"><title>{told}</title></circle>')
        if each.true is not None:
            x, y = place(each.bytes, each.true)
            marks.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="#c30"><title>{told}</title></circle>'
            )
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = place(round(widest * share), most * share)
        marks.append(f'<text x="{x:.0f}" y="{BOTTOM + 18}" text-anchor="middle">{widest * share / 1e6:.2f}</text>')
        marks.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{most * share:.3g}</text>')
    axes = f'<path d="M{LEFT} {EDGE}V{BOTTOM}H{WIDTH - EDGE}" fill="none" stroke="#555"/>'
    names = (
        f'<text x="{WIDTH / 2:.0f}" y="{BOTTOM + 40}" text-anchor="middle">MB of weights</text>'
        f'<text x="{LEFT}" y="14">nats an utterance: predicted (dots), measured (rings)</text>'
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
    lines = [f'{head} font-size="12"><title>{escape(title)}</title>', axes, names, *marks, "</svg>"]
    return "\n".join(lines) + "\n"
