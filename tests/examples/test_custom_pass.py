"""examples/custom_pass, installed in an environment of its own, takes its place among the built-in passes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the plugin installed; mctc and what it needs are seen from the one that runs tests."""
    place = tmp_path_factory.mktemp("environment")
    source = place / "custom_pass"
    shutil.copytree(root / "examples/custom_pass", source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True, timeout=120)
    python = place / "venv/bin/python"
    paths = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", paths], check=True, capture_output=True, text=True).stdout.strip())
    outer = sysconfig.get_path("purelib")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, str(source)], check=True, timeout=300)
    return place


def run(environment: Path, *arguments: str) -> str:
    command = [str(environment / "venv/bin/python"), "-m", "mctc", *arguments]
    done = subprocess.run(command, cwd=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_listed_before_the_pass_it_asked_to_precede(environment: Path) -> None:
    listed = run(environment, "passes")
    assert 0 < listed.index("fuse-silu") < listed.index("linear-to-conv")
    assert "mctc-fuse-silu" in listed


def test_it_rewrites_the_program_where_it_stands(environment: Path) -> None:
    before = run(environment, "show", "custom_pass/swish.mct", "--before", "fuse-silu")
    after = run(environment, "show", "custom_pass/swish.mct", "--after", "fuse-silu")
    assert "sigmoid" in before
    assert "silu" not in before
    assert "silu" in after
    assert "sigmoid" not in after


def test_a_build_with_it_is_validated_and_remembers_it(environment: Path) -> None:
    run(environment, "build", "custom_pass/swish.mct", "--target", "ane", "--verify-each", "-o", "built")
    manifest = json.loads((environment / "built/manifest.json").read_text())
    (ran,) = [each for each in manifest["passes"]["common"] if each["name"] == "fuse-silu"]
    assert ran["ops_after"] == ran["ops_before"] - 1
    assert 0 <= ran["error"] < 1e-9
    assert "is one silu" in (environment / "built/program.mir").read_text()
