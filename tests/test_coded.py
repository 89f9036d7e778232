"""Checkpoints of codes: what is read is what a package would store, and a build from them is the same build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.checkpoint import WeightsError
from mctc.coded import SCALE, TABLE, CodedTensors, opened, write_coded
from mctc.driver import BuildOptions, build
from mctc.initializers import initialise
from mctc.ir.text import parse_program

SPEC = """model kept(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 29
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, V] {
        x = relu(linear(mel, width) as four)
        x = x + conv1d(x, width, 3) as eight
        param rate: f32[width] = uniform(bound = 1)
        x = x * exp(rate)
        return linear(x, V) as head
    }
    stream { chunk = 160 ms }
    quantize { **.four: int4(per_channel); **: int8(per_channel) }
}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain.safetensors` of fp32 numbers, and `coded.safetensors` of it."""
    place = tmp_path_factory.mktemp("kept")
    (place / "kept.mct").write_text(SPEC)
    program = parse_program((build(place / "kept.mct", place / "initial").folder / "program.mir").read_text())
    tensors = {name: initialise(name, type_, rule, 3) for name, (type_, rule) in program.sources.items()}
    save_file({name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}, place / "plain.safetensors")
    write_coded(program, place / "plain.safetensors", place / "coded.safetensors", {"made": "in a test"})
    return place


def test_a_build_from_codes_is_the_build_from_the_numbers(place: Path) -> None:
    files = []
    for name in ("plain", "coded"):
        options = BuildOptions(weights=place / f"{name}.safetensors")
        folder = build(place / "kept.mct", place / name, options).folder
        (package,) = folder.glob("*.mlpackage")
        files.append(
            {path.name: path.read_bytes() for path in package.rglob("*") if path.suffix in (".bin", ".mlmodel")}
        )
    assert files[0] == files[1]
    assert len(files[0]) == 2


def test_codes_take_the_place_of_their_parameters_numbers(place: Path) -> None:
    coded, plain = opened(place / "coded.safetensors"), opened(place / "plain.safetensors")
    assert isinstance(coded, CodedTensors)
    assert not isinstance(plain, CodedTensors)
    assert coded.shapes == plain.shapes
    assert {name: bits for name, (bits, _) in coded.coded.items()} == {
        "encoder.four.weight": 4, "encoder.eight.weight": 8, "encoder.head.weight": 8
    }  # fmt: skip
    for name in coded.shapes:
        value = plain.read(name)
        step = np.abs(value).max() / (7 if name == "encoder.four.weight" else 127 if name in coded.coded else 1024)
        np.testing.assert_allclose(coded.read(name), value, atol=0.54 * step)  # half a step, and the scale in fp16
    np.testing.assert_array_equal(coded.read("encoder.rate"), plain.read("encoder.rate"))  # exp's operand


def test_codes_of_four_bits_are_two_a_byte(tmp_path: Path) -> None:
    packed = np.array([[0x21, 0xF8], [0x70, 0x09]], np.uint8)  # low half first; -8 is 8, -1 is 15
    save(
        tmp_path / "w.safetensors",
        {"w": packed, "w" + SCALE: np.array([2, 0.5], np.float16)},
        {"bits": 4, "shape": [2, 3]},
    )
    assert opened(tmp_path / "w.safetensors").read("w").tolist() == [[2.0, 4.0, -16.0], [0.0, 3.5, -3.5]]


def save(path: Path, tensors: dict[str, np.ndarray], row: Any) -> None:
    save_file(tensors, path, {TABLE: json.dumps({"w": row}) if not isinstance(row, str) else row})


CODES, SCALES = np.zeros((2, 3), np.int8), np.ones(2, np.float16)
DAMAGED: dict[str, tuple[dict[str, np.ndarray], Any, str]] = {
    "no JSON": ({"w": CODES, "w.scale": SCALES}, "{", "its table of codes is damaged"),
    "a list": ({"w": CODES, "w.scale": SCALES}, "[]", "its table of codes is damaged"),
    "no bits": ({"w": CODES, "w.scale": SCALES}, {"shape": [2, 3]}, "its table of codes is damaged"),
    "other bits": ({"w": CODES, "w.scale": SCALES}, {"bits": 3, "shape": [2, 3]}, "codes of 3 bits"),
    "no shape": ({"w": CODES, "w.scale": SCALES}, {"bits": 8, "shape": []}, r"shape \[\] are none"),
    "another shape": ({"w": CODES, "w.scale": SCALES}, {"bits": 8, "shape": [3, 2]}, r"are not I8 \[3, 2\]"),
    "a huge shape": ({"w": CODES, "w.scale": SCALES}, {"bits": 4, "shape": [2, 10**9]}, "are not U8"),
    "another type": ({"w": CODES.astype(np.float32), "w.scale": SCALES}, {"bits": 8, "shape": [2, 3]}, "are not I8"),
    "no tensor": ({"v": CODES}, {"bits": 8, "shape": [2, 3]}, "are not I8"),
    "no scales": ({"w": CODES}, {"bits": 8, "shape": [2, 3]}, "no scale for each of 2 rows"),
    "too many scales": (
        {"w": CODES, "w.scale": np.ones(3, np.float16)},
        {"bits": 8, "shape": [2, 3]},
        "no scale for each",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_table_that_does_not_fit_its_codes_is_an_error(name: str, tmp_path: Path) -> None:
    tensors, row, told = DAMAGED[name]
    save(tmp_path / "w.safetensors", tensors, row)
    with pytest.raises(WeightsError, match=told):
        opened(tmp_path / "w.safetensors")
