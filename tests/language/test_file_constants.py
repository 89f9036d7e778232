"""Constants whose numbers a file holds."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.source import FileRead
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Constant
from mctc.language import check_file, elaborate_file

MODEL = """
import "blocks/front.mct"
model m(width = 40) {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {{
        {}
    }}
    stream {{ chunk = 40 ms }}
}}
"""
BLOCK = 'block centred(x: f32[..., C]) -> f32[..., C] { return x - constant(file = "mean.npy", shape = [C]) }\n'
MATRIX = 'w = constant(file = "w.safetensors", tensor = "a.w", shape = [width, width])'


@pytest.fixture(scope="module")
def numbers() -> dict[str, Array]:
    random = np.random.default_rng(3)
    return {"mean": random.normal(size=40), "matrix": random.normal(size=(40, 40)).astype(np.float32)}


@pytest.fixture
def project(tmp_path: Path, numbers: dict[str, Array], monkeypatch: pytest.MonkeyPatch) -> Path:
    from safetensors.numpy import save_file

    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "spec/blocks").mkdir(parents=True)
    (tmp_path / "spec/blocks/front.mct").write_text(BLOCK)
    np.save(tmp_path / "spec/blocks/mean.npy", numbers["mean"])
    save_file({"a.w": numbers["matrix"], "b.w": np.zeros(3, np.float32)}, tmp_path / "spec/w.safetensors")
    monkeypatch.chdir(tmp_path / "spec")
    return tmp_path


def _spec(*lines: str) -> Path:
    path = Path("m.mct")
    path.write_text(MODEL.format("\n        ".join(lines)))
    return path


def _problem(*lines: str) -> tuple[str, str, str]:
    """Code, message and the text that is pointed at."""
    (found,) = check_file(_spec(*lines))
    assert found.span is not None
    return found.code, found.message, found.span.text


def test_the_numbers_of_files_are_computed_with(project: Path, numbers: dict[str, Array]) -> None:
    program = elaborate_file(_spec("x = centred(x)", MATRIX, "return op.linear(x, w)"))
    x = np.random.default_rng(4).normal(size=(1, 3, 40))
    given = evaluate(program.functions["c"], {"x": x}, lambda name: x)[0]["output"]
    expected = (x - numbers["mean"].astype(np.float32)) @ numbers["matrix"].T.astype(np.float64)
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [">f4", "<f8", "<f2"])
def test_an_array_may_be_stored_in_any_order_and_width(project: Path, dtype: str) -> None:
    stored = np.asfortranarray(np.arange(12).reshape(3, 4).astype(dtype))
    np.save("s.npy", stored)
    program = elaborate_file(_spec('k = constant(file = "s.npy", roles = ["feature", "channel"])', "return x"))
    (constant,) = [op for op in program.functions["c"].ops if isinstance(op, Constant)]
    assert constant.value.dtype == np.float32
    assert (constant.value == stored).all()
    assert constant.roles == ("feature", "channel")


def test_whole_numbers_and_truth_values_keep_their_types(project: Path) -> None:
    np.save("ids.npy", np.array([3, -1], np.int64))
    np.save("on.npy", np.array([True, False]))
    program = elaborate_file(_spec('i = constant(file = "ids.npy")', 'o = constant(file = "on.npy")', "return x"))
    types = [str(op.results[0].type.dtype.value) for op in program.functions["c"].ops]
    assert types == ["i32", "bool"]


def test_a_build_is_the_same_from_every_folder_and_says_the_hash(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = _spec("x = centred(x)", MATRIX, "return op.linear(x, w)")
    first = build(spec, project / "one", BuildOptions()).manifest
    monkeypatch.chdir(project)
    build(Path("spec/../spec/m.mct"), project / "two", BuildOptions())
    files = {path.relative_to(project / "one") for path in (project / "one").rglob("*") if path.is_file()}
    assert all((project / "one" / name).read_bytes() == (project / "two" / name).read_bytes() for name in files)
    for name in ("blocks/mean.npy", "w.safetensors"):
        data = (project / "spec" / name).read_bytes()
        assert (project / "one/source" / name).read_bytes() == data
        assert first["source"]["files"][name] == hashlib.sha256(data).hexdigest()
    again = elaborate_file(project / "one/source/m.mct", root=project / "one/source")
    assert len(again.functions["c"].ops) == 4


def test_files_beside_the_folder_of_the_spec_are_kept_with_it(project: Path) -> None:
    (project / "data").mkdir()
    np.save(project / "data/scale.npy", np.ones(40))
    read: list[FileRead] = []
    elaborate_file(_spec('return x * constant(file = "../data/scale.npy")'), read=read.append)
    assert [each.identity for each in read if not each.shipped] == [
        "spec/m.mct", "spec/blocks/front.mct", "data/scale.npy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "place", "hint"),
    [
        ('x * constant("mean.npy")', "MCT0095", '"mean.npy"', 'are written `constant(file = "mean.npy")`'),
        ('x * constant("mean.npy", shape = [40])', "MCT0091", "shape = [40]", "are written `constant(file ="),
        ('x * constant(file = "ids.npy")', "MCT0103", 'x * constant(file = "ids.npy")', '`cast(..., "f32")` around'),
        ('x * constant(file = "ids.npy", dtype = "f32")', "MCT0062", '"f32"', '`cast(constant(...), "f32")`'),
        ('x * constant(["a"], "f32", ["channel"])', "MCT0095", '["a"]', None),
        ('x * constant([[1], [2, 3]], "f32", ["plain", "plain"])', "MCT0095", "[[1], [2, 3]]", "no gaps"),
        ('x * constant([2.5], "i32", ["channel"])', "MCT0095", "[2.5]", 'its `dtype` is "f32"'),
        ('x * constant(none, "f32", [])', "MCT0095", "none", None),
    ],
)
def test_a_constant_of_another_kind_is_told_what_to_write(
    project: Path, line: str, code: str, place: str, hint: str | None
) -> None:
    np.save("mean.npy", np.zeros(40))
    np.save("ids.npy", np.arange(40))
    (found,) = check_file(_spec(f"return {line}"))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, place)
    assert hint is None or hint in str(found.hint)


@pytest.mark.parametrize("rule", ['constant("mean.npy")', 'constant(file = "mean.npy")'])
def test_a_parameter_that_starts_from_a_file_is_told_of_checkpoints(project: Path, rule: str) -> None:
    (found,) = check_file(_spec(f"param w: f32[width] = {rule}", "return x * w"))
    assert "--weights" in str(found.hint)


@pytest.mark.parametrize(
    ("line", "code", "message", "place"),
    [
        ('constant(file = "meen.npy")', "MCT0061", 'there is no file "meen.npy" beside m.mct', '"meen.npy"'),
        ('constant(file = "../../x.npy")', "MCT0061", "lies outside of the project", '"../../x.npy"'),
        ('constant(file = "m.mct")', "MCT0061", '"m.mct" is of no kind that is read here', '"m.mct"'),
        ('constant(file = "blocks")', "MCT0061", '"blocks" is no regular file', '"blocks"'),
        ('constant(file = "torn.npy")', "MCT0061", '"torn.npy" is no .npy file', '"torn.npy"'),
        ('constant(file = "short.npy")', "MCT0061", "it has another length than its header says", '"short.npy"'),
        ('constant(file = "objects.npy")', "MCT0062", "holds entries of type object", '"objects.npy"'),
        ('constant(file = "w.safetensors")', "MCT0061", "which tensor", '"w.safetensors"'),
        ('constant(file = "w.safetensors", tensor = "a.v")', "MCT0061", 'has no tensor "a.v"', '"a.v"'),
        (
            'constant(file = "torn.safetensors", tensor = "a")',
            "MCT0061",
            "is not a safetensors file",
            '"torn.safetensors"',
        ),
        ('constant(file = "blocks/mean.npy", tensor = "a")', "MCT0061", 'holds one array, none called "a"', '"a"'),
        ('constant(file = "blocks/mean.npy", shape = [width, 2])', "MCT0062", "not the list [40, 2]", "[width, 2]"),
        ('constant(file = "blocks/mean.npy", dtype = "i32")', "MCT0062", "holds f32, not i32", '"i32"'),
        (
            'constant(file = "blocks/mean.npy", roles = ["time", "channel"])',
            "MCT0062",
            "1 axes for 2 roles",
            '["time", "channel"]',
        ),
        ('constant(file = "blocks/mean.npy", axis = 3)', "MCT0091", "no argument `axis`", "axis = 3"),
        ("constant(file = 3)", "MCT0095", "is a string, not the number 3", "3"),
        (
            'constant(file = "nan.npy")',
            "MCT0063",
            "has 2 entries that are no finite f32, the first at [1, 0]",
            '"nan.npy"',
        ),
        ('constant(file = "wide.npy")', "MCT0063", "whole numbers beyond those of i32", '"wide.npy"'),
        ('constant(file = "none.npy")', "MCT0062", "has 0 entries", '"none.npy"'),
    ],
)
def test_what_is_wrong_with_a_file_is_told_at_its_place(
    project: Path, line: str, code: str, message: str, place: str
) -> None:
    Path("torn.npy").write_bytes(b"\x93NUMPY\x01\x00\x20")
    Path("torn.safetensors").write_bytes(b"\xff" * 20)
    np.save("short.npy", np.zeros(9))
    Path("short.npy").write_bytes(Path("short.npy").read_bytes()[:-4])
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    np.save("nan.npy", np.array([[0, 1], [np.nan, 1e300]]))
    np.save("wide.npy", np.array([2**40]))
    np.save("none.npy", np.zeros((0, 3)))
    found = _problem(f"y = {line}", "return x")
    assert (found[0], found[2]) == (code, place)
    assert message in found[1]


def test_a_header_that_claims_more_than_the_file_allocates_nothing(project: Path) -> None:
    header = str({"descr": "<f8", "fortran_order": False, "shape": (1 << 60,)}).encode()
    Path("huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert "another length" in _problem('y = constant(file = "huge.npy")', "return x")[1]


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    os.mkfifo("pipe.npy")
    assert "no regular file" in _problem('y = constant(file = "pipe.npy")', "return x")[1]


def test_a_link_out_of_the_project_is_told_as_one(project: Path) -> None:
    Path("away.npy").symlink_to("nowhere.npy")
    assert "is a link to nothing in the project" in _problem('y = constant(file = "away.npy")', "return x")[1]


def test_a_file_that_changed_since_is_told(project: Path) -> None:
    from mctc.driver.sources import changed, source_record

    spec, was, now = _spec("return centred(x)"), list[FileRead](), list[FileRead]()
    elaborate_file(spec, read=was.append)
    np.save("blocks/mean.npy", np.zeros(40))
    elaborate_file(spec, read=now.append)
    record = json.loads(json.dumps(source_record(was)))
    assert changed(record, now, "0") == "the spec has changed since: blocks/mean.npy"


def test_a_broken_file_fails_a_build_as_a_spec_does(project: Path) -> None:
    with pytest.raises(DiagnosticError):
        build(_spec('return x * constant(file = "none.npy")'), project / "out", BuildOptions())
