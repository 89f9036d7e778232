"""Parts that a spec keeps in fp32: stored and computed so in a package, with casts where they begin and end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mctc.cli.main import run
from mctc.driver import BuildOptions, build
from mctc.ir.program import WIDE
from mctc.ir.text import parse_program, print_program
from mctc.language import elaborate_file
from mctc.package import Operation, read_package

SPEC = """model parts(width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        x = linear(x, width) as first
        x = relu(layer_norm(linear(x, width) as inner) as norm)
        return linear(x, width) as last
    }
    stream { chunk = 40 ms }
    quantize { c.{inner, norm}.**: f32; **: none }
}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "parts.mct"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def ops(spec: Path) -> list[Operation]:
    """The operations of the package, which was compared with its program as it was built."""
    folder = build(spec, spec.parent / "out", BuildOptions()).folder
    (path,) = folder.glob("*.mlpackage")
    (function,) = read_package(path).functions.values()
    return list(function.operations)


def test_a_rule_stores_and_computes_in_fp32(ops: list[Operation]) -> None:
    computed = [op for op in ops if op.type not in ("const", "cast")]
    wide = {op.type for op in computed if "fp32" in str(op.outputs[0].type)}
    assert "conv" in wide
    assert "relu" not in wide, "no rule is about the component itself"
    stored = {op.outputs[0].name: str(op.outputs[0].type) for op in ops if op.type == "const"}
    assert "fp32" in stored["c_inner_weight"]
    assert "fp16" in stored["c_first_weight"]


def test_casts_stand_where_a_part_begins_and_ends(ops: list[Operation]) -> None:
    types = [str(op.outputs[0].type).partition("[")[0] for op in ops if op.type == "cast"]
    assert types == ["fp32", "fp16"]


def test_the_textual_form_keeps_it(spec: Path) -> None:
    program = elaborate_file(spec)
    assert program.quantize[0].quantization == WIDE
    assert print_program(parse_program(print_program(program))) == print_program(program)


def test_the_linter_warns_of_a_part_that_the_spec_asks_for_and_fails_for_none(
    ops: list[Operation], spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spec.parent / "out"
    assert run(["lint", str(folder)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "warning ANE-DT-002" in told
    assert "as `quantize` of the spec asks" in told
    assert run(["lint", str(folder), "--fail-on", "warning"]) == 1


def test_the_same_ops_without_a_spec_that_asks_are_an_error(ops: list[Operation], spec: Path, tmp_path: Path) -> None:
    (package,) = (spec.parent / "out").glob("*.mlpackage")
    shutil.copytree(package, tmp_path / package.name)
    assert run(["lint", str(tmp_path)]) == 1
