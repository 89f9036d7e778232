"""A wheel built from the tree holds everything, puts nothing under a bare name, and works outside the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOMS = {"mctc": "mctc", "passes": "mctc/passes", "targets": "mctc/targets", "spec": "mctc/spec"}
SHIPPED = {
    ".py",
    ".lark",
    ".mct",
    ".flac",
    ".txt",
    ".typed",
    ".metal",
    ".cpp",
    ".h",
    ".j2",
    ".html",
    ".css",
    ".js",
    ".json",
}
SHIPPED |= {".toml", ".safetensors", ".model", ".swift"}
SOURCES = ("mctc", "passes", "targets", "spec", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def expected(root: Path) -> Iterator[str]:
    for folder, installed in ROOMS.items():
        for file in (root / folder).rglob("*"):
            if file.suffix in SHIPPED and "__pycache__" not in file.parts:
                yield f"{installed}/{file.relative_to(root / folder).as_posix()}"


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built in a copy so that the tree stays clean."""
    copy, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(copy),
    ]
    subprocess.run(command, check=True, timeout=300)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_and_no_bare_top_level_name(root: Path, wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"mctc"}
    assert {name for name in names if ".dist-info/" not in name} == set(expected(root))


def test_the_wheel_works_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    env = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mctc", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import mctc, mctc.passes, mctc.targets, mctc.spec as s; print(mctc.__file__, s.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert found.stdout.split() == [str(site / "mctc/__init__.py"), str(site / "mctc/spec/__init__.py")]
    assert "linear-to-conv" in run("passes")
    run("check", str(site / "mctc/spec/mct_small.mct"))
