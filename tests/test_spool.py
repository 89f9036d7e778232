"""A spool gives back what was put into it, and its file has no name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mctc.driver.tables import asked_again
from mctc.fingerprint import fingerprint
from mctc.initializers import initialise
from mctc.ir.program import Quantization, Source
from mctc.ir.text import parse_program
from mctc.package.bits import pack, unpack
from mctc.quantize import Palette, Scaled, quantize
from mctc.spool import SMALL, Lies, Spool
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
        np.testing.assert_array_equal(spool.get(name, maps=True), expected)
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


def test_a_tensor_that_comes_in_parts_is_there_with_the_last_of_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put_next("a", DRAWN[:100], SHAPE)
    spool.put("b", DRAWN + 1)
    spool.put_next("a", DRAWN[100:250], SHAPE)
    assert "a" not in spool
    assert spool.get("a") is None
    spool.put_next("a", DRAWN[250:], SHAPE)
    for name, expected in (("b", DRAWN + 1), ("a", DRAWN)):
        np.testing.assert_array_equal(spool.get(name), expected)


@pytest.mark.parametrize("rows", [0, 7, 300])
def test_the_first_numbers_are_copied_to_another_file(tmp_path: Path, rows: int) -> None:
    spool, path = Spool(tmp_path), tmp_path / "rows"
    spool.put("a", DRAWN)
    with path.open("wb") as file:
        assert spool.copy("a", file, rows * SHAPE[1])
        assert not spool.copy("b", file, 1)
    np.testing.assert_array_equal(np.fromfile(path, np.float32), DRAWN[:rows].reshape(-1))


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
    spool.put_next("parts", DRAWN, SHAPE)
    assert "large" not in spool
    assert "parts" not in spool
    assert "small" in spool
    assert DRAWN.nbytes > SMALL >= DRAWN[:1].nbytes


@pytest.mark.parametrize("how", [None, Quantization("int8", 8)], ids=["fp16", "int8"])
def test_what_lies_in_another_file_is_left_there(tmp_path: Path, how: Quantization | None) -> None:
    stored = DRAWN.astype(np.float16) if how is None else quantize(DRAWN, how)
    numbers = stored if isinstance(stored, np.ndarray) else stored.codes
    other = tmp_path / "weights.bin"
    other.write_bytes(b"before" + numbers.tobytes())
    spool = Spool(tmp_path)
    spool.put("a", stored, Lies(other, 6, numbers.nbytes))
    assert spool._end == 0
    assert spool.fingerprints("a") == (fingerprint(numbers), *(() if how is None else [fingerprint(stored.scale)]))
    found = spool.get("a", maps=True)
    assert found is not None
    np.testing.assert_array_equal(found if isinstance(found, np.ndarray) else found.codes, numbers)
    assert how is None or np.array_equal(found.scale, stored.scale)  # type: ignore[union-attr]


@pytest.mark.parametrize("right", [True, False])
def test_what_lies_in_another_file_packed_is_left_there(tmp_path: Path, right: bool) -> None:
    stored, other = quantize(DRAWN, Quantization("int4", 4)), tmp_path / "weights.bin"
    assert isinstance(stored, Scaled)
    data = pack(stored.codes, 4)
    other.write_bytes(data if right else data[::-1])
    spool = Spool(tmp_path)
    spool.put("a", stored, Lies(other, 0, len(data), lambda packed: unpack(packed, 4, DRAWN.size, signed=True)))
    assert spool._end == 0
    assert spool.fingerprints("a") == (fingerprint(stored.codes), fingerprint(stored.scale))
    found = spool.get("a")
    assert (found is not None) is right
    if found is not None:
        assert isinstance(found, Scaled)
        np.testing.assert_array_equal(found.codes, stored.codes)


@pytest.mark.parametrize("now", [None, "cut", "changed"])
def test_what_is_not_found_in_another_file_is_not_there(tmp_path: Path, now: str | None) -> None:
    other, data = tmp_path / "weights.bin", bytearray(DRAWN.tobytes())
    data[-1] ^= now == "changed"
    if now is not None:
        other.write_bytes(data[: -1 if now == "cut" else None])
    spool = Spool(tmp_path)
    spool.put("a", DRAWN, Lies(other, 0, DRAWN.nbytes))
    assert "a" in spool
    assert spool.get("a") is None
    assert "a" not in spool
    assert spool.fingerprints("a") is None


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


def test_a_source_that_is_asked_for_again_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program(
        """program @m {
            source @w: f32[300, 500] = normal(std = 0.5)
            source @v: f32[300, 500] = normal(std = 0.5)
            param @codes = reshape(@w, axes = [["plain", 300], ["plain", 500]]): f32[300, 500] as int8(bits = 8)
            param @v
        }"""
    )
    drawn: list[str] = []
    monkeypatch.setattr("mctc.weights.initialise", lambda name, *rest: drawn.append(name) or initialise(name, *rest))
    weights = Weights(program.sources)
    weights.spool(tmp_path, asked_again(program, "w"))
    for parameter in program.parameters.values():
        weights.stored(parameter)
    rows = weights.source(Source("w", program.sources["w"][0]), np.float16)
    assert drawn == ["w", "v"]
    np.testing.assert_array_equal(rows, initialise("w", *program.sources["w"], 0).astype(np.float16))


ROWS = """program @m {
    source @w: f32[300, 500] = normal(std = 0.5)
    param @low = slice(@w, axis = 0, end = 120): f32[120, 500] as int8(bits = 8)
    param @high = slice(@w, axis = 0, begin = 120): f32[180, 500] as int8(bits = 8)
}"""


@pytest.mark.parametrize("spooled", [True, False])
def test_rows_that_a_decoder_takes_are_kept_as_they_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spooled: bool
) -> None:
    program = parse_program(ROWS)
    whole: list[str] = []
    monkeypatch.setattr("mctc.weights.initialise", lambda name, *rest: whole.append(name) or initialise(name, *rest))
    weights = Weights(program.sources)
    weights.spool(tmp_path if spooled else None, {"w"})
    for parameter in program.parameters.values():
        weights.stored(parameter)
    source, path = Source("w", program.sources["w"][0]), tmp_path / "rows"
    with path.open("wb") as file:
        weights.write_rows(source, 250, np.float16, file)
    assert whole == ([] if spooled else ["w"])
    expected = initialise("w", *program.sources["w"], 0).astype(np.float16)[:250]
    np.testing.assert_array_equal(np.fromfile(path, np.float16).reshape(250, 500), expected)


def test_sources_that_several_parameters_hold_are_asked_for_again() -> None:
    program = parse_program(
        """program @m {
            source @a: f32[4, 6] = zeros()
            source @b: f32[4, 6] = zeros()
            source @c: f32[4, 6] = zeros()
            param @one = pad(@a, axis = 0, after = 1): f32[5, 6]
            param @other = transpose(@a, order = [1, 0]): f32[6, 4]
            param @low = slice(@b, axis = 0, end = 2): f32[2, 6]
            param @high = slice(@b, axis = 0, begin = 2): f32[2, 6]
            param @c
        }"""
    )
    assert asked_again(program, None) == {"a"}
    assert asked_again(program, "b") == {"a", "b"}
