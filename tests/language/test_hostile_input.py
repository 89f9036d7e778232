"""Hostile sources end in a diagnostic, within 5 seconds of CPU and 1 GB, never in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mctc.language import check_file

from .conftest import component

LIMITED = """
import resource, sys
for what, most in ((resource.RLIMIT_CPU, 20), (resource.RLIMIT_AS, 1 << 30)):
    try:
        resource.setrlimit(what, (most, most))
    except (OSError, ValueError):  # macOS has no limit on address space
        pass
from mctc.language import check_file
print(" ".join(dict.fromkeys(found.code for found in check_file(sys.argv[1]))))
"""


def codes(path: Path) -> list[str]:
    """The codes that a process with little time and memory reports for a file."""
    # one thread each: the address space of a limited process has no room for many
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env=env, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def _chain(count: int) -> str:
    """Blocks that each call the one before them twice: 2 ** count ops."""
    blocks = ["block f0(x: f32[..., C]) { return relu(x) }"]
    blocks += [f"block f{i}(x: f32[..., C]) {{ return f{i - 1}(f{i - 1}(x)) }}" for i in range(1, count + 1)]
    return "\n".join(blocks) + "\n" + component(f"return f{count}(x)")


def _deep(count: int) -> str:
    """Blocks that call one another `count` deep."""
    blocks = ["block f0(x: f32[..., C]) { return x }"]
    blocks += [f"block f{i}(x: f32[..., C]) {{ if true {{ return f{i - 1}(x) }} }}" for i in range(1, count + 1)]
    return "\n".join(blocks) + "\n" + component(f"return f{count}(x)")


SOURCES: dict[str, tuple[str, str]] = {
    "ten megabytes": ("# " + "x" * 10_000_000, "MCT0005"),
    "a million words": ("a b " * 240_000, "MCT0005"),
    "100,000 lines": ("a = 1\n" * 100_000, "MCT0005"),
    "round brackets": (component("y = " + "(" * 10_000 + "x" + ")" * 10_000, "return y"), "MCT0006"),
    "square brackets": (component("y = " + "[" * 10_000), "MCT0006"),
    "braces": ("block f(x: f32[...]) " + "{ if true " * 10_000, "MCT0006"),
    "minus signs": (component("y = " + "- " * 10_000 + "1", "return x"), "MCT0006"),
    "powers": (component("y = " + "2 ** " * 10_000 + "1", "return x"), "MCT0006"),
    "sums": (component("y = " + "1 + " * 10_000 + "1", "return x"), "MCT0006"),
    "choices": (component("y = " + "1 if true else " * 10_000 + "1", "return x"), "MCT0006"),
    "members": (component("y = x" + ".a" * 10_000, "return x"), "MCT0006"),
    "indices": (component("y = x" + "[0]" * 10_000, "return x"), "MCT0006"),
    "else if": (component("if false {}" + " else if false {}" * 10_000, "return x"), ""),
    "repeat of a billion": (component("repeat 1_000_000_000 { x = relu(x) }", "return x"), "MCT0007"),
    "nested repeats": (component("repeat 9999 { repeat 9999 { repeat 9999 { x = x } } }", "return x"), "MCT0007"),
    "growing repeats": (component("n = 1", "repeat 60 { repeat n { x = relu(x) }; n = 2 * n }", "return x"), "MCT0007"),
    "doubling calls": (_chain(30), "MCT0007"),
    "deep calls": (_deep(500), "MCT0006"),
    "an extent of 10^18": (component("return linear(x, 10 ** 18)"), "MCT0009"),
    "many channels": (component("return linear(x, 3_000_000_000)"), "MCT0009"),
    "a tower of powers": (component("return linear(x, 9 ** 9 ** 9)"), "MCT0008"),
    "growing numbers": (component("n = 3", "repeat 9999 { n = n * n }", "return x"), "MCT0008"),
    "growing fractions": (component("n = 3 / 7", "repeat 9999 { n = n + 1 / n }", "return x"), "MCT0008"),
    "growing extents": (component("n = T", "repeat 999 { n = (n + 1) * (n + B) }", "return x"), "MCT0009"),
    "growing strings": (component('s = "a"', "repeat 60 { s = s + s }", "return x"), "MCT0010"),
    "growing lists": (component("s = [1]", "repeat 60 { s = s + s }", "return x"), "MCT0010"),
    "nested lists": (component("s = [1]", "repeat 60 { s = [s, s] }", "return x"), "MCT0010"),
    "a huge number": (component("return linear(x, " + "9" * 5000 + ")"), "MCT0008"),
    "a huge float": (component("n = 1e308 * 1e308", "return linear(x, ceil(n))"), "MCT0008"),
    "an infinite literal": (component("n = 1e999", "return linear(x, ceil(n))"), "MCT0008"),
    "a huge rate": (component("y = 1e99999999999 Hz", "return x"), "MCT0008"),
    "a tiny rate": (component("y = 1e-99999999999 Hz", "return x"), "MCT0008"),
    "a long name": (component("return " + "n" * 500_000), "MCT0030"),
    "many results": (component("a = split(x, 10 ** 9)", "return x"), "MCT0103"),
    "NUL": ("model m {\0}", "MCT0004"),
    "a terminal's escape": ("model \x1b[31m {}", "MCT0004"),
    "unbalanced": (")" * 50_000, "MCT0024"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_hostile_source_is_refused(name: str, tmp_path: Path) -> None:
    text, code = SOURCES[name]
    path = tmp_path / "spec.mct"
    path.write_text(text)
    found = codes(path)
    assert code in found if code else not found


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.mct"
    path.write_bytes(bytes(range(256)) * 100)
    assert [found.code for found in check_file(path)] == ["MCT0003"]


def test_imports_that_go_on_for_ever_are_refused(tmp_path: Path) -> None:
    for i in range(300):
        (tmp_path / f"f{i}.mct").write_text(f'import "f{i + 1}.mct"\n')
    assert codes(tmp_path / "f0.mct") == ["MCT0005"]


def test_an_import_loop_is_shown(tmp_path: Path) -> None:
    for here, there in (("a", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / f"{here}.mct").write_text(f'import "{there}.mct"\n')
    (found,) = check_file(tmp_path / "a.mct")
    assert found.code == "MCT0042"
    assert " -> ".join(str(tmp_path / f"{name}.mct") for name in "bcb") in found.message


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../outside.mct", "link.mct", "folder/outside.mct", "../../../../../../etc/hostname"]
)
def test_an_import_from_outside_of_the_project_is_refused(target: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.mct").write_text("block b(x: f32[...]) { return x }\n")
    (project / "link.mct").symlink_to(tmp_path / "outside.mct")
    (project / "folder").symlink_to(tmp_path)
    (project / "spec.mct").write_text(f'import "{target}"\n')
    assert [found.code for found in check_file(project / "spec.mct")] == ["MCT0041"]


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "code"), [(_folder, "MCT0002"), (_pipe, "MCT0002"), (_device, "MCT0002"), (_loop, "MCT0001")]
)
def test_what_is_no_file_is_refused_also_as_an_import(make: Callable[[Path], None], code: str, tmp_path: Path) -> None:
    make(tmp_path / "odd.mct")
    (tmp_path / "spec.mct").write_text('import "odd.mct"\n')
    assert [found.code for found in check_file(tmp_path / "odd.mct")] == [code]
    imported = [found.code for found in check_file(tmp_path / "spec.mct")]
    assert imported in ([code], ["MCT0040"], ["MCT0041"])
