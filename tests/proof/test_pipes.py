"""A pipe in place of a file of a build, which nobody writes to, is told and not waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """
model s(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, width] { return linear(mel, width) as head }
    stream { chunk = 40 ms }
}
"""


def waits_not(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mctc", *command], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "internal error" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
@pytest.mark.parametrize("name", ["whole.mir", "program.mir", "training/__init__.py", "training/s.py", "manifest.json"])
@pytest.mark.quick("whole.mir", "training/__init__.py")
def test_verify_names_the_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch")
    from mctc.driver import BuildOptions, build

    (tmp_path / "s.mct").write_text(SPEC, encoding="utf-8")
    build(tmp_path / "s.mct", tmp_path / "b", BuildOptions(target="torch"))
    (tmp_path / "b" / name).unlink()
    os.mkfifo(tmp_path / "b" / name)
    told = waits_not(tmp_path, "verify", "b", "--no-runtimes")
    assert f"b/{name} is no regular file" in " ".join(told.split())
