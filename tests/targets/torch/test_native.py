"""A C++ source is compiled once, whatever starts at once, and its absence is told, not fatal."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mctc.targets.torch.runtime import native

SOURCE = 'extern "C" int answer() { return %d; }\n'


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MCTC_NATIVE", raising=False)
    native.load.cache_clear()
    yield
    native.load.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "answer.cpp"
    path.write_text(SOURCE % 42)
    return path


def libraries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").rglob("*.*"))


def test_compiles_and_loads(source: Path) -> None:
    found = native.load(source)
    assert isinstance(found, ctypes.CDLL)
    assert found.answer() == 42


def test_compiles_once(source: Path, tmp_path: Path) -> None:
    first = native.library(source)
    stamp = first.stat().st_mtime_ns
    assert native.library(source) == first
    assert first.stat().st_mtime_ns == stamp
    assert libraries(tmp_path) == [first]


def test_a_changed_source_is_another_library(source: Path) -> None:
    first = native.library(source)
    source.write_text(SOURCE % 43)
    second = native.library(source)
    assert first != second
    assert ctypes.CDLL(str(second)).answer() == 43


def test_another_compiler_is_another_library(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = native.library(source)
    monkeypatch.setenv("CXX", "c++ -DOTHER")
    assert native.library(source) != first


def test_processes_that_start_at_once_all_load(source: Path, tmp_path: Path) -> None:
    program = (
        "import sys, runpy, pathlib; native = runpy.run_path(sys.argv[1]);"
        "print(native['load'](pathlib.Path(sys.argv[2])).answer())"
    )
    command = [sys.executable, "-c", program, native.__file__, str(source)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [each.communicate()[0].strip() for each in running] == ["42"] * 4
    assert len(libraries(tmp_path)) == 1


def test_no_compiler_is_one_warning(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.warns(RuntimeWarning, match=r"answer\.cpp runs as slower torch operations: no C\+\+ compiler"):
        assert native.load(source) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.load(source) is None


def test_a_source_that_does_not_compile_is_a_warning_with_the_place(source: Path, tmp_path: Path) -> None:
    source.write_text("int broken(")
    with pytest.warns(RuntimeWarning, match=r"answer\.cpp:1:\d+: error"):
        assert native.load(source) is None
    assert libraries(tmp_path) == []


def test_a_compiler_that_does_not_know_the_processor_is_asked_without(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = tmp_path / "picky"
    picky.write_text('#!/bin/sh\ncase "$*" in *-march=native*) echo "error: no" >&2; exit 1;; esac\nexec c++ "$@"\n')
    picky.chmod(0o755)
    monkeypatch.setenv("CXX", str(picky))
    monkeypatch.setattr(native, "COMPILERS", ())
    assert ctypes.CDLL(str(native.library(source))).answer() == 42


def test_switched_off_is_silent(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCTC_NATIVE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.load(source) is None


def test_a_cache_that_can_not_be_written_is_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert ctypes.CDLL(str(native.library(source))).answer() == 42


def test_a_changed_header_is_another_library(source: Path) -> None:
    header = source.with_name("answer.h")
    header.write_text("#define ANSWER 1\n")
    source.write_text('#include "answer.h"\nextern "C" int answer() { return ANSWER; }\n')
    first = native.library(source)
    header.write_text("#define ANSWER 2\n")
    assert [ctypes.CDLL(str(each)).answer() for each in (first, native.library(source))] == [1, 2]


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_another_processor(path: Path) -> None:
    header = bytearray(path.read_bytes())
    header[18:20] = b"\xf3\x00"  # e_machine of ELF: RISC-V
    path.write_bytes(header)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("of somebody")


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("damage", [truncated, emptied, of_another_processor, a_folder, a_link_to_nothing])
def test_a_damaged_library_is_made_again(source: Path, damage: Callable[[Path], None]) -> None:
    damage(native.library(source))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = native.load(source)
    assert found is not None
    assert found.answer() == 42
    native.load.cache_clear()
    again = native.library(source)
    assert ctypes.CDLL(str(again)).answer() == 42


def test_a_library_that_may_not_be_loaded_from_the_cache_is_loaded_from_elsewhere(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached, loaded = native.library(source), ctypes.CDLL

    def of_a_cache_without_programs(path: str) -> ctypes.CDLL:
        if Path(path) == cached:
            raise OSError("failed to map segment from shared object")
        return loaded(path)

    monkeypatch.setattr(native.ctypes, "CDLL", of_a_cache_without_programs)
    found = native.load(source)
    assert found is not None
    assert found.answer() == 42


def test_a_cache_that_turns_out_to_be_read_only_is_left_alone(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = native.tempfile.mkstemp

    def refused(**where: Any) -> tuple[int, str]:
        if where["dir"] == native.cache_folder():
            raise OSError(30, "Read-only file system")
        return made(**where)

    monkeypatch.setattr(native.tempfile, "mkstemp", refused)
    assert ctypes.CDLL(str(native.library(source))).answer() == 42


def test_processes_that_meet_a_damaged_library_at_once_all_load(source: Path, tmp_path: Path) -> None:
    emptied(native.library(source))
    test_processes_that_start_at_once_all_load(source, tmp_path)


def test_a_user_without_a_home_has_a_folder_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert native.cache_folder() == native._private_folder()
