"""The benchmark measures what it says: counts of a function, use of a process, lines of a spec, where the text goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def benchmark_importable(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tree comes last on the path, as in bench/run.py, so that `mctc` stays the installed one."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "bench"]:
        del sys.modules[name]


def test_operations_are_counted_without_constants() -> None:
    from bench.rows.structure import structure
    from mctc.package import Block, Function, NamedType, Operation, StateType, TensorType

    def operation(index: int, kind: str, dtype: str) -> Operation:
        return Operation(index, kind, f"op{index}", {}, (NamedType(f"v{index}", TensorType(dtype, (1,))),), {})

    kinds = [
        ("const", "int32"), ("constexpr_lut_to_dense", "fp16"), ("transpose", "fp16"), ("add", "fp32"),
        ("shape", "int32"),
    ]  # fmt: skip
    operations = tuple(operation(index, *each) for index, each in enumerate(kinds))
    inputs = (NamedType("token", TensorType("int32", (1,))),)
    states = (NamedType("state", StateType(TensorType("fp16", (1, 32)))),)
    found = structure(Function("main", "CoreML8", inputs, states, (), Block(inputs, ("v4",), operations)))
    assert (found.operations, found.counts, found.denied) == (3, "1 / 1 / 2 / 1", {"shape": 1})


def test_a_process_is_measured_with_its_children(tmp_path: Path) -> None:
    from bench.process import ProcessError, measure

    hold = "b = bytearray(200_000_000); b[::4096] = b'1' * len(b[::4096])"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}], check=True); print('done')"
    used = measure([sys.executable, "-c", child], tmp_path, os.environ)
    assert used.peak >= 200_000_000
    assert used.cpu > 0
    assert used.output == "done\n"
    assert measure([sys.executable, "-c", "pass"], tmp_path, os.environ).peak < 100_000_000
    with pytest.raises(ProcessError, match="failed with 3: no"):
        measure([sys.executable, "-c", "import sys; print('no'); sys.exit(3)"], tmp_path, os.environ)


def test_lines_are_those_with_code_of_every_imported_file(tmp_path: Path) -> None:
    from bench.rows.lines import code_lines, imported

    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/b.mct").write_text('import "../a.mct"\n')
    (tmp_path / "a.mct").write_text('# import "none.mct"\nimport "lib/b.mct"\n\n  # a comment\nmodel m() {}  # one\n')
    assert [file.name for file in imported(tmp_path / "a.mct")] == ["a.mct", "b.mct"]
    assert code_lines(tmp_path / "a.mct") == 2


def test_a_spec_without_its_quantize_section_still_elaborates(root: Path, tmp_path: Path) -> None:
    from bench.rows.memory import without_quantize
    from mctc.language import elaborate_file

    plain = without_quantize(root / "spec/mct_small.mct", tmp_path / "plain")
    assert elaborate_file(plain).quantize == ()
    assert elaborate_file(root / "spec/mct_small.mct").quantize != ()


def test_the_measured_part_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    from bench.report import markdown, write
    from bench.row import Row

    page = tmp_path / "benchmarks.md"
    page.write_text("# Before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n")
    write(page, markdown([Row("speed", "≥ 8", "7", False, "too slow")], "here"))
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| 1 | speed | ≥ 8 | 7 | **no** |" in text
    assert "* Row 1: too slow." in text


def test_every_spec_has_a_reduced_size_that_the_command_takes(root: Path) -> None:
    from bench.reduced import SIZES, defined
    from mctc.cli.options import parse_definition
    from mctc.language import check_file

    assert set(SIZES) == {path.stem for path in (root / "spec").glob("*.mct")}
    words = defined("zipformer")
    given = dict(map(parse_definition, words[1::2]))
    assert words[0] == "-D"
    assert check_file(root / "spec/zipformer.mct", defines=given) == []
