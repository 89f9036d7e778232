"""Values that an evaluation asks for again and again: held as stored while there is room."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Quantization
from mctc.numerics import parameters
from mctc.numerics.parameters import packed
from mctc.quantize import quantize

HALF = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float16)
FORMS = {
    "half": HALF,
    "wide": HALF.astype(np.float32) / 3,
    "int8": quantize(HALF, Quantization("int8", bits=8, axis=0)),
    "palette": quantize(HALF, Quantization("palette", bits=4, axis=0)),
}


def test_values_are_those_that_artifacts_hold_and_are_made_once() -> None:
    made = list[str]()
    value = packed(lambda name: made.append(name) or FORMS[name])
    for _ in range(2):
        np.testing.assert_array_equal(value("half"), HALF.astype(np.float32))
        np.testing.assert_array_equal(value("wide"), FORMS["wide"])
        for name in ("int8", "palette"):
            np.testing.assert_array_equal(value(name), FORMS[name].dequantize().astype(np.float32))
            assert value(name).dtype == np.float32
    assert sorted(made) == sorted(FORMS)


def test_what_has_no_room_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "PACKED", HALF.nbytes)
    made = list[str]()
    value = packed(lambda name: made.append(name) or FORMS[name])
    for name in ("half", "wide", "half", "wide"):
        value(name)
    assert made == ["half", "wide", "wide"]
