"""docs/architectures.md and its picture are what the specs give.

MCTC_UPDATE_DOCS=1 writes both anew (the slow test).
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from docs.pages.architectures import PICTURE, line, page, picture
from docs.pages.plot import svg
from mctc.compare.measured import Component, Measured
from mctc.compare.operand import measure_spec
from mctc.language.modules import Loader

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_page_and_picture_are_current(root: Path) -> None:
    """Every spec at its full size; half a minute."""
    for name, text in (("architectures.md", page()), (PICTURE, picture())):
        if os.environ.get("MCTC_UPDATE_DOCS"):
            (root / "docs" / name).write_text(text, encoding="utf-8")
        assert (root / "docs" / name).read_text(encoding="utf-8") == text


def test_every_model_of_the_library_is_on_the_page_and_in_the_picture(root: Path) -> None:
    text = (root / "docs/architectures.md").read_text(encoding="utf-8")
    listed = [row.partition("]")[0].removeprefix("| [") for row in text.splitlines() if row.startswith("| [")]
    modules = [Loader().load(path) for path in sorted((root / "spec").glob("*.mct"))]
    assert listed == [each.node.name.text for module in modules if module for each in module.models()]
    texts = ElementTree.parse(root / "docs" / PICTURE).getroot().iter(f"{SVG}text")
    assert set(listed) <= {text.text for text in texts}


def test_a_small_spec_still_costs_what_the_page_says(root: Path) -> None:
    row = " | ".join(line(measure_spec(root / "spec/mct_tiny.mct", {})))
    assert f"| {row} |" in (root / "docs/architectures.md").read_text(encoding="utf-8")


def model(name: str, macs: int, latency: float | None, streams: bool = True) -> Measured:
    return Measured(name, name, 1, 2, (Component("encoder", "time", macs, 1.0, 0, 0, 1),), latency, streams)


def test_a_model_stands_right_and_high_for_its_latency_and_its_arithmetic() -> None:
    drawn = [model("fast", 10**6, 0.1), model("slow", 10**9, 30.0, streams=False), model("timeless", 10, None)]
    points = [c for c in ElementTree.fromstring(svg(drawn)).iter(f"{SVG}circle") if c.get("class", "") != ""][2:]
    slow, fast = ((float(each.get("cx", 0)), -float(each.get("cy", 0))) for each in points)
    assert slow[0] > fast[0]
    assert slow[1] > fast[1]
    assert ["whole" in str(each.get("class")) for each in points] == [True, False]


def test_names_of_models_that_cost_the_same_are_written_apart() -> None:
    drawn = [model(f"model_{number}", 10**6, 0.32) for number in range(12)]
    texts = [text for text in ElementTree.fromstring(svg(drawn)).iter(f"{SVG}text") if "model_" in str(text.text)]
    places = {(float(text.get("x", 0)), float(text.get("y", 0))) for text in texts}
    assert len(places) == 12
    lines: dict[str, list[float]] = {}
    for text in texts:
        lines.setdefault(str(text.get("text-anchor")), []).append(float(text.get("y", 0)))
    for heights in (sorted(each) for anchor, each in lines.items() if anchor != "middle"):
        assert all(low - high >= 10 for high, low in pairwise(heights))


def test_a_hostile_name_stays_text() -> None:
    (text,) = [each for each in ElementTree.fromstring(svg([model("<b>&", 10, 1.0)])).iter() if each.text == "<b>&"]
    assert text.tag == f"{SVG}text"
