"""What becomes of every name of a checkpoint and a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mctc.checkpoint import WeightsError
from mctc.cli.main import run
from mctc.importing import Checkpoint, ImportPlan, Status, plan, read_map, write
from mctc.ir.program import Program
from mctc.language import elaborate_file

SPEC = """\
model small(width = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        repeat 2 { x = linear(x, width) as proj }
        x = conv1d(x, width, 3) as conv
        return lstm(x, width) as cell
    }
}
"""
MAP = """\
about = "for tests"
specs = []
prefix = "net."
[tensors]
"c.layers.{i}.proj.{kind}" = "blocks.{i}.dense.{kind}"
"c.conv.weight" = { from = "conv", steps = [{ op = "transpose", order = [2, 1, 0] }] }
"c.conv.bias" = { from = "conv_bias", steps = [{ op = "reshape" }] }
"c.cell.weight_{side}h" = { from = "cell", steps = [{ op = "split", parts = 2, axis = 0, result = 1 }] }
"c.cell.bias" = { from = ["cell_b1", "cell_b2"], steps = [{ op = "add" }] }
[ignored]
"steps" = "counts batches"
"blocks.{i}.copy" = { why = "a double", same_as = "blocks.{i}.dense.weight" }
"""
RNG = np.random.default_rng(0)


def tensors() -> dict[str, np.ndarray]:
    def normal(*shape: int) -> np.ndarray:
        return RNG.normal(size=shape).astype(np.float32)

    blocks = {
        f"net.blocks.{i}.dense.{kind}": normal(*[4] * rank)
        for i in (0, 1)
        for kind, rank in (("weight", 2), ("bias", 1))
    }
    cell = {"net.cell": normal(32, 4), "net.cell_b1": normal(16), "cell_b2": normal(16)}
    return {**blocks, **cell, "net.conv": normal(3, 4, 4), "net.conv_bias": normal(1, 4), "steps": normal(1)}


class Case:
    """A spec, a map and a checkpoint in files."""

    def __init__(self, folder: Path) -> None:
        self.spec, self.map, self.checkpoint = folder / "small.mct", folder / "own.toml", folder / "them.safetensors"
        self.spec.write_text(SPEC)
        self.map.write_text(MAP)

    @property
    def program(self) -> Program:
        return elaborate_file(self.spec)

    def plan(self, given: dict[str, Any]) -> ImportPlan:
        save_file(given, self.checkpoint)
        return plan(self.program, Checkpoint(self.checkpoint), read_map(self.map))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def problems(planned: ImportPlan) -> dict[str, Status]:
    return {row.name: row.status for row in planned.problems}


def test_every_parameter_is_made_of_the_tensors_that_the_map_names(case: Case, tmp_path: Path) -> None:
    given = tensors()
    planned = case.plan(given)
    assert not planned.problems
    out = tmp_path / "weights.safetensors"
    write(out, case.program, planned, {"from": "tests"})
    got = load_file(out)
    want = {
        f"c.layers.{i}.proj.{kind}": given[f"net.blocks.{i}.dense.{kind}"]
        for i in (0, 1)
        for kind in ("weight", "bias")
    }
    want |= {"c.conv.weight": given["net.conv"].transpose(2, 1, 0), "c.conv.bias": given["net.conv_bias"][0]}
    want |= {f"c.cell.weight_{side}h": given["net.cell"][16:] for side in "ih"}
    want["c.cell.bias"] = given["net.cell_b1"] + given["cell_b2"]
    assert got.keys() == want.keys()
    for name, array in want.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)


def test_what_is_missing_misshapen_or_left_over_is_named(case: Case) -> None:
    given = tensors()
    del given["net.blocks.1.dense.bias"]
    given["net.conv"] = given["net.conv"][:2]
    given["net.conv_bias"] = given["net.conv_bias"][:, :3]
    given["net.blocks.2.dense.bias"] = given["steps"]
    found = problems(case.plan(given))
    assert found == {
        "c.layers.1.proj.bias": Status.MISSING,
        "c.conv.weight": Status.MISSHAPEN,
        "c.conv.bias": Status.MISSHAPEN,
        "blocks.2.dense.bias": Status.LEFT_OVER,
    }


def test_a_parameter_that_the_map_forgets_is_named(case: Case) -> None:
    case.map.write_text(MAP.replace('"c.cell.bias"', '"c.cell.biases"'))
    found = problems(case.plan(tensors()))
    assert found["c.cell.bias"] is Status.UNMAPPED


def test_a_result_that_an_op_does_not_have_is_named(case: Case) -> None:
    case.map.write_text(MAP.replace("result = 1", "result = 2"))
    found = case.plan(tensors()).problems
    assert [row.name for row in found] == ["c.cell.weight_ih", "c.cell.weight_hh"]
    assert all("split has 2 results, counted from 0, and no result 2" in str(row) for row in found)


def test_a_double_must_hold_the_same_numbers(case: Case) -> None:
    given = tensors()
    given["net.blocks.0.copy"] = given["net.blocks.0.dense.weight"]
    given["net.blocks.1.copy"] = given["net.blocks.0.dense.weight"]
    planned = case.plan(given)
    assert problems(planned) == {"blocks.1.copy": Status.DIFFERENT}
    assert Status.IGNORED in {row.status for row in planned.rows if row.name == "blocks.0.copy"}


def test_two_tensors_of_one_name_are_refused(case: Case) -> None:
    with pytest.raises(WeightsError, match=r"holds both .*conv and .*conv"):
        case.plan({**tensors(), "conv": np.zeros((3, 4, 4), np.float32)})


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_halves_are_read_exactly(case: Case, dtype: Any) -> None:
    given = {name: array.astype(dtype) for name, array in tensors().items()}
    value = case.plan(given).value("c.layers.0.proj.weight")
    np.testing.assert_array_equal(value, given["net.blocks.0.dense.weight"].astype(np.float32))


def test_a_checkpoint_in_several_files_is_one(case: Case, tmp_path: Path) -> None:
    given, folder = tensors(), tmp_path / "model"
    folder.mkdir()
    places = {name: f"{i % 2}.safetensors" for i, name in enumerate(given)}
    for file in set(places.values()):
        save_file({name: given[name] for name in given if places[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    read = Checkpoint(folder)
    assert read.shapes == {name: array.shape for name, array in given.items()}
    for name, array in given.items():
        np.testing.assert_array_equal(read.read(name), array)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("[]", "no index of a checkpoint"),
        ('{"weight_map": {"a": "../a.safetensors"}}', "outside of its folder"),
        ('{"weight_map": {"b": "a.safetensors"}}', "lacks it"),
        ('{"weight_map": {"a": "none.safetensors"}}', "cannot read"),
    ],
)
def test_a_damaged_index_is_refused(index: str, words: str, tmp_path: Path) -> None:
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "a.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(WeightsError, match=words):
        Checkpoint(tmp_path)


def test_a_pickle_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
    with pytest.raises(WeightsError, match="pickle") as caught:
        Checkpoint(tmp_path / "pytorch_model.bin")
    assert "safetensors" in str(caught.value.hint)


class TestTheCommand:
    def call(self, case: Case, given: dict[str, Any], *more: str) -> int:
        save_file(given, case.checkpoint)
        return run(["import-weights", str(case.checkpoint), str(case.spec), "--map", str(case.map), *more])

    def test_tells_of_every_name_and_writes(self, case: Case, tmp_path: Path, capsys: Any) -> None:
        out = tmp_path / "out.safetensors"
        assert self.call(case, tensors(), "-o", str(out)) == 0
        told = capsys.readouterr().out
        assert all(name in told for name in case.program.sources)
        assert "steps [1]: counts batches" in told
        assert "9 mapped, 1 ignored, 0 missing" in told
        assert load_file(out).keys() == case.program.sources.keys()

    def test_writes_nothing_when_something_is_missing(self, case: Case, tmp_path: Path, capsys: Any) -> None:
        given = tensors()
        del given["cell_b2"]
        assert self.call(case, given, "-o", str(tmp_path / "out.safetensors")) == 1
        assert "1 missing" in capsys.readouterr().out
        assert not (tmp_path / "out.safetensors").exists()

    def test_stops_at_what_is_left_over_unless_that_is_meant(self, case: Case, tmp_path: Path, capsys: Any) -> None:
        given = {**tensors(), "more": np.zeros(2, np.float32)}
        assert self.call(case, given) == 1
        assert self.call(case, given, "--allow-left-over") == 0
        assert "left over" in capsys.readouterr().out

    def test_wants_one_map(self, case: Case, capsys: Any) -> None:
        assert run(["import-weights", str(case.checkpoint), str(case.spec)]) == 2
        assert run(["import-weights", str(case.checkpoint), str(case.spec), "--from", "wisper"]) == 1
        assert "did you mean `whisper`?" in capsys.readouterr().err

    def test_lists_the_maps(self, capsys: Any) -> None:
        assert run(["import-weights", "--list"]) == 0
        assert "whisper: " in capsys.readouterr().out
