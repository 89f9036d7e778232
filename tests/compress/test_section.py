"""The section goes back into the spec as text, and nothing else of the text changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.compress.errors import CompressError
from mctc.compress.section import with_section
from mctc.driver.load import load_program
from mctc.ir.program import Quantization, QuantizeRule
from mctc.language.format import format_source

HEAD = """# A model of one layer.
model m(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, width]) -> f32[B, T, width] {
        return linear(x, width) as p  # the layer
    }
    stream { chunk = 160 ms }
"""
SECTION = """    quantize {
        # why it is so
        e.**: int8(per_channel)  # a reason
    }
"""
VARIANT = "\nmodel n = m(width = 128)\n"
RULES = [
    QuantizeRule("e.layers.{0, 3}.p", Quantization("palette", 3, 16)),
    QuantizeRule("e.**", Quantization("int4", 4)),
]


def spec(folder: Path, text: str) -> Path:
    path = folder / "m.mct"
    path.write_text(text)
    return path


def test_the_old_section_gives_way_and_its_comments_stay(tmp_path: Path) -> None:
    path = spec(tmp_path, HEAD + SECTION + "}\n")
    edit = with_section(path, None, {}, RULES)
    assert edit.before == path.read_text()
    assert edit.after.startswith(HEAD)
    assert edit.after[len(HEAD) :].splitlines() == [
        "    quantize {",
        "        # why it is so",
        "        # a reason",
        "        e.layers.{0, 3}.p: palette(bits = 3, group = 16)",
        "        e.**: int4(per_channel)",
        "    }",
        "}",
    ]
    assert format_source(edit.after) == edit.after
    path.write_text(edit.after)
    assert [(rule.pattern, rule.quantization) for rule in load_program(path).quantize] == [
        (rule.pattern, rule.quantization) for rule in RULES
    ]


def test_a_model_without_a_section_gets_one(tmp_path: Path) -> None:
    path = spec(tmp_path, HEAD + "}\n")
    edit = with_section(path, None, {}, RULES[1:])
    assert edit.after == HEAD + "    quantize {\n        e.**: int4(per_channel)\n    }\n}\n"


def test_a_variant_of_the_same_file_changes_the_model_that_it_is_of(tmp_path: Path) -> None:
    edit = with_section(spec(tmp_path, HEAD + SECTION + "}\n" + VARIANT), "n", {}, RULES[1:])
    assert edit.after.endswith(VARIANT)
    assert "int4" in edit.after


def test_a_text_of_another_layout_keeps_it(tmp_path: Path) -> None:
    text = HEAD.replace("    stream {", "  stream  {") + SECTION + "}\n"
    edit = with_section(spec(tmp_path, text), None, {}, RULES[1:])
    assert "  stream  { chunk = 160 ms }\n" in edit.after


def test_a_model_of_another_file_is_told(tmp_path: Path) -> None:
    spec(tmp_path, HEAD + SECTION + "}\n")
    (tmp_path / "n.mct").write_text('import "m.mct"\n' + VARIANT)
    with pytest.raises(CompressError, match=r"are those of a model in .*m\.mct"):
        with_section(tmp_path / "n.mct", None, {}, RULES)
