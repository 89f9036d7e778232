"""How a process of mctc's own ends: with its code, after what was to be called, what is left not taken apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = """
import atexit
from mctc.cli.process import ends_at_once
codes = ends_at_once()
class Left:
    def __del__(self):
        print("taken apart")
left = Left()
atexit.register(print, "called")
print("said")
"""
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [("codes.append(3)", 3, "said\ncalled\n"), ("", 0, "said\ncalled\ntaken apart\n")],
    ids=["with a code", "without one"],
)
def test_it_ends_with_a_code_after_what_was_to_be_called(more: str, code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", TEXT + more], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


def test_calls_that_were_registered_before_are_made() -> None:
    """As those of coverage are, which begins before the command does."""
    before = "import atexit\natexit.register(print, 'measured')\n"
    done = subprocess.run(
        [sys.executable, "-c", before + TEXT + "codes.append(0)"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "said\ncalled\nmeasured\ntaken apart\n", "")


@pytest.mark.parametrize("exports", ["", "MCTC_PLUGINS = {'passes': [Mine]}"], ids=["one that fails", "one that works"])
def test_what_a_plugin_left_open_is_written(exports: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from mctc.rewrite.base import Exact, Pass\n"
        f"left = open({str(tmp_path / 'log')!r}, 'w')\n"
        "left.write('what it wrote')\n"
        "class Mine(Pass):\n"
        '    """Changes nothing."""\n'
        "    name, promise = 'mine', Exact()\n"
        "    def run(self, program, context): return program\n" + exports
    )
    command = [sys.executable, "-m", "mctc", "passes", "mine", "--plugin", str(tmp_path / "mine.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if exports else 1), done.stderr
    assert (tmp_path / "log").read_text() == "what it wrote"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_is_lost_is_told_as_python_tells_it() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", TEXT + "codes.append(0)"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=BUFFERED,
        )
    assert done.returncode == 120
    assert "No space left" in done.stderr
