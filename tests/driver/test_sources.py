"""A build is the same bytes whatever path names its spec, and holds what it was made from."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.source import SourceFile
from mctc.driver import BuildOptions, build
from mctc.driver.sources import changed, source_record
from mctc.language import elaborate_file
from mctc.language.read import StandardInput
from mctc.proof.proof import Proof
from mctc.runtime.trace import Traces
from mctc.version import __version__

BLOCK = "block halve(x: f32[..., C], n) { return linear(x, n) * 0.5 }\n"
SPEC = """import "../common/halve.mct"
import "lib/nearby.mct"
import "lib/mamba.mct"

model talk(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz

    component encoder(x: f32[B, T, width]) -> f32[B, T, 4] {
        return nearby(halve(x, 4))
    }

    stream { chunk = 40 ms }
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A spec in a project, with imports beside it, above it and from the library."""
    project = tmp_path / "project"
    for folder in ("models/lib", "common"):
        (project / folder).mkdir(parents=True)
    (project / "pyproject.toml").touch()
    (project / "common/halve.mct").write_text(BLOCK)
    (project / "models/lib/nearby.mct").write_text("block nearby(x: f32[..., C]) { return relu(x) }\n")
    (project / "models/talk.mct").write_text(SPEC)
    return project / "models/talk.mct"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("target", "most"), [("ane", 3), ("torch", 7)])
def test_the_bytes_are_the_same_whatever_path_names_the_spec(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, most: int
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(spec.parent.parent, elsewhere / "copied")
    (elsewhere / "linked.mct").symlink_to(spec)
    (elsewhere / "folder").symlink_to(spec.parent)
    named = [
        (spec.parent.parent, "models/talk.mct"),
        (elsewhere, "linked.mct"),
        (elsewhere, "copied/models/talk.mct"),
        (spec.parent.parent, "./models/../models/talk.mct"),
        (spec.parent, str(spec)),
        (elsewhere, "folder/talk.mct"),
        (elsewhere, "../project/models/talk.mct"),
    ]
    built = []
    for index, (folder, name) in enumerate(named[:most]):
        monkeypatch.chdir(folder)
        built.append(tree(build(Path(name), tmp_path / f"out{index}", BuildOptions(target=target)).folder))
    assert all(each == built[0] for each in built)
    assert not [name for name, data in built[0].items() if str(tmp_path).encode() in data]


def test_a_build_keeps_the_files_of_its_author_and_names_the_librarys(spec: Path, tmp_path: Path) -> None:
    result = build(spec, tmp_path / "out", BuildOptions(target="torch"))
    source = result.manifest["source"]
    assert source["spec"] == "source/models/talk.mct"
    own = ["common/halve.mct", "models/lib/nearby.mct", "models/talk.mct"]
    library = [f"mctc.spec/lib/{name}.mct" for name in ("choice", "everyday", "mamba", "nn", "rates")]
    assert sorted(source["files"]) == sorted([*own, *library])
    assert (
        sorted(p.relative_to(result.folder / "source").as_posix() for p in (result.folder / "source").rglob("*.mct"))
        == own
    )
    assert (result.folder / source["spec"]).read_text() == SPEC


def test_a_build_is_compiled_again_from_its_own_copy_of_the_spec(spec: Path, tmp_path: Path) -> None:
    folder = build(spec, tmp_path / "built", BuildOptions()).folder
    shutil.rmtree(spec.parent.parent)
    moved = folder.rename(tmp_path / "moved")
    assert Proof(moved).passes().ok is True
    (found,) = (trace for trace in Traces(moved).find("encoder") if trace.kind == "relu")
    assert found.origin.location is not None
    assert Traces(moved).line(found.origin.location) == "block nearby(x: f32[..., C]) { return relu(x) }"


def test_files_that_changed_since_a_build_are_named_and_those_of_the_library_apart() -> None:
    def read(own: str, library: str) -> list[SourceFile]:
        return [SourceFile("m.mct", own), SourceFile("lib/a.mct", library, shipped=True), SourceFile("lib/b.mct", "b")]

    record = source_record(read("m", "a"))
    assert changed(record, read("m", "new"), "0.0.1").startswith("the library's lib/a.mct changed since (built by mctc")
    assert changed(record, read("m", "new"), __version__) == "the library's lib/a.mct changed since"
    assert changed(record, read("n", "new"), "0.0.1") == "the spec has changed since: lib/a.mct, m.mct"


class Input:
    """Standard input that holds `text`."""

    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())


def test_a_spec_from_standard_input_is_built_and_compiled_again(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    monkeypatch.setattr("sys.stdin", Input(SPEC))
    result = build(StandardInput(), tmp_path / "out", BuildOptions())
    assert result.manifest["source"]["spec"] == "source/models/stdin.mct"
    assert Proof(result.folder).passes().ok is True


def test_a_place_in_a_spec_from_standard_input_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from mctc.diagnostics.diagnostic import diagnostic_at
    from mctc.diagnostics.render import render

    monkeypatch.setattr(
        "sys.stdin",
        Input("model m {\n dim T: time @ 100 Hz\n component c(x: f32[T, 4]) -> f32[T, 4] { return relu(x) }\n}\n"),
    )
    program = elaborate_file(StandardInput())
    location: Any = program.functions["c"].ops[0].origin.location
    assert (location.file, location.line) == ("stdin.mct", 3)
    assert "--> <stdin>:3:" in render(diagnostic_at(location, "MCT0202", "no"))
