"""Rules from forms: readable, and the first that matches has every weight's form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.compress.rules import rules_of, text_of
from mctc.ir.path_pattern import matches
from mctc.ir.program import Quantization

INT8, INT4, THREE = Quantization("int8", 8), Quantization("int4", 4), Quantization("palette", 3, 16)
NAMES = [
    *(f"encoder.layers.{at}.{part}.weight" for at in range(5) for part in ("in_proj", "out_proj")),
    *(f"encoder.groups.{a}.{b}.x.weight" for a in range(2) for b in range(2)),
    "encoder.conv.weight", "predictor.lstm.weight_ih", "predictor.lstm.weight_hh", "joiner.out.weight", "table",
]  # fmt: skip


def test_rounds_that_agree_have_one_rule_and_those_apart_are_listed() -> None:
    forms = {name: INT4 if "proj" in name else INT8 for name in NAMES[:10] + NAMES[14:]}
    forms["encoder.layers.0.in_proj.weight"] = forms["encoder.layers.3.in_proj.weight"] = THREE
    forms["joiner.out.weight"] = None
    assert text_of(rules_of(forms)).splitlines() == [
        "quantize {",
        "        encoder.layers.{0, 3}.in_proj: palette(bits = 3, group = 16)",
        "        encoder.conv: int8(per_channel)",
        "        encoder.**: int4(per_channel)",
        "        predictor.**: int8(per_channel)",
        "        joiner.**: none",
        "        table.**: int8(per_channel)",
        "    }",
    ]


@given(st.lists(st.sampled_from([INT8, INT4, THREE, None]), min_size=len(NAMES), max_size=len(NAMES)))
def test_the_first_rule_that_matches_a_name_has_its_form(drawn: list[Quantization | None]) -> None:
    forms = dict(zip(NAMES, drawn))
    rules = rules_of(forms)
    for name, form in forms.items():
        assert next(rule.quantization for rule in rules if matches(rule.pattern, name)) == form


@pytest.mark.parametrize("form", [INT8, None])
def test_one_form_is_one_rule_a_component(form: Quantization | None) -> None:
    assert len(rules_of(dict.fromkeys(NAMES, form))) == 4
