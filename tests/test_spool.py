"""A spool gives back what was put into it, and its file has no name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mctc.initializers import initialise
from mctc.ir.program import Quantization
from mctc.ir.text import parse_program
from mctc.quantize import Palette, Scaled, quantize
from mctc.spool import SMALL, Spool
from mctc.weights import Weights

SHAPE = (300, 500)
DRAWN = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize(
    "stored", [DRAWN, DRAWN.astype(np.float16), DRAWN[:2, :3], DRAWN.T], ids=["f32", "f16", "small", "view"]
)
def test_arrays_come_back(tmp_path: Path, stored: np.ndarray) -> None:
    spool = Spool(tmp_path)
    spool.put("a", stored)
    spool.put("b", stored + 1)
    for name, expected in (("b", stored + 1), ("a", stored)):
        found = spool.get(name)
        assert isinstance(found, np.ndarray)
        assert found.dtype == stored.dtype
        np.testing.assert_array_equal(found, expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [Quantization("int8", 8), Quantization("int4", 4), Quantization("palette", 4)], ids=str)
def test_compressed_tensors_come_back(tmp_path: Path, how: Quantization) -> None:
    stored, spool = quantize(DRAWN, how), Spool(tmp_path)
    spool.put("a", stored)
    found = spool.get("a")
    assert isinstance(found, Scaled | Palette)
    assert type(found) is type(stored)
    np.testing.assert_array_equal(found.codes, stored.codes)
    np.testing.assert_array_equal(found.values(), stored.values())
    np.testing.assert_array_equal(found.values(), stored.dequantize().astype(np.float32))


def test_a_full_disk_is_done_without(tmp_path: Path) -> None:
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, data: memoryview) -> int:
            raise OSError(28, "no space left on device")

    spool = Spool(tmp_path)
    spool._file = Full()  # type: ignore[assignment]
    spool.put("large", DRAWN)
    spool.put("small", DRAWN[:1])
    assert "large" not in spool
    assert "small" in spool
    assert DRAWN.nbytes > SMALL >= DRAWN[:1].nbytes


MODEL = """
program @m {
    source @w: f32[300, 500] = normal(std = 0.5)
    param @w
    function @f() { %w = parameter @w return y = %w }
}
"""


@pytest.mark.parametrize(("free", "drawn_again"), [(1 << 40, False), (2 * DRAWN.nbytes, True)], ids=["room", "none"])
def test_the_artifacts_room_is_left_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, drawn_again: bool
) -> None:
    monkeypatch.setattr("mctc.weights.disk_usage", lambda folder: SimpleNamespace(free=free))
    program = parse_program(MODEL)
    weights = Weights(program.sources)
    weights.spool(tmp_path)
    (parameter,) = program.parameters.values()
    first = weights.deployed(parameter)
    weights.release()
    monkeypatch.setattr("mctc.weights.initialise", lambda name, type_, *rest: np.zeros(type_.shape, np.float32) + 7)
    assert np.array_equal(weights.deployed(parameter), first) is not drawn_again


def test_a_large_model_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program(MODEL)
    drawn: list[str] = []

    def counted(name: str, *rest: Any) -> np.ndarray:
        drawn.append(name)
        return initialise(name, *rest)

    monkeypatch.setattr("mctc.weights.initialise", counted)
    weights = Weights(program.sources)
    (parameter,) = program.parameters.values()
    first = weights.deployed(parameter)
    weights.spool(tmp_path)
    for _ in range(3):
        weights.release()
        np.testing.assert_array_equal(weights.deployed(parameter), first)
    assert len(drawn) == 2, "once without the spool, once with it"
    other = weights.of_another_program()
    other.release()
    other.deployed(parameter)
    assert len(drawn) == 3, "another program's parameters are other values"
