"""The table of the prelude's layers in docs/language.md has their inputs and defaults."""

from __future__ import annotations

import re
from pathlib import Path


def test_the_layers_of_the_language_page_are_those_of_the_prelude(root: Path) -> None:
    blocks = re.findall(r"^block (\w+)\((.*?)\) \{$", (root / "spec/lib/nn.mct").read_text(), re.MULTILINE)
    heads = {f"{name}({re.sub(r': f32.*?[]]|: i32.*?[]]', '', inputs)})" for name, inputs in blocks}
    page = (root / "docs/language.md").read_text().partition("each an op with the parameters that it takes:")[2]
    table = page.partition("It has what changes rates")[0]
    told = {each for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for each in re.findall(r"`(.+?)`", row)}
    assert told - {"block"} == heads
