"""Checks in child processes. A process that has imported all but mctc forks one for each fault, so a fault costs the
time of its check and no imports, and nothing of one fault is left when the next one is seeded.

`python -m tests.mutation.runner` is that process: it reads requests and writes outcomes, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .fault import ROOT, Fault
from .faults import FAULTS
from .overlay import laid_over, use

LIMIT = 240  # seconds for one check
SLOW = {
    r"tests/(targets/ane|runtime)/": ["coremltools.converters.mil.frontend.milproto.load"],
    r"tests/targets/onnx/": ["onnx", "onnxruntime"],
    r"tests/(targets/torch|metal|.*/test_against_torch)": ["torch"],
}
PASSED, FAILED = 0, 1  # pytest's exit codes; any other means that the tests were not run


@dataclass(frozen=True)
class Outcome:
    """What pytest said of some tests: its exit code (negative: the signal that ended it), and its last words."""

    code: int
    text: str
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether a test was run and failed: a fault that breaks an import or hangs is no fault of this kind."""
        return self.code == FAILED

    @property
    def reason(self) -> str:
        """Which test failed and why, in one line."""
        said = [line for line in self.text.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return said[0] if said else f"exit code {self.code}"


class Runner:
    """The process that forks. Ask it with `outcome`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def outcome(self, tests: Sequence[str], fault: Fault | None = None) -> Outcome:
        """Runs tests, with a fault in the sources or without one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"tests": list(tests), "fault": fault and fault.name}) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def runner() -> Iterator[Runner]:
    """A runner that ends with the context."""
    command = [sys.executable, "-m", "tests.mutation.runner"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Runner(process)
    finally:
        process.communicate()


def serve() -> None:
    """Answers requests until there are no more."""
    import hypothesis  # noqa: F401  what every check needs
    import numpy as np  # noqa: F401
    import pytest  # noqa: F401

    faults = {fault.name: fault for fault in FAULTS}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(asdict(_forked(request["tests"], faults.get(request["fault"])))), flush=True)


def _forked(tests: Sequence[str], fault: Fault | None) -> Outcome:
    _import_what_is_slow(tests)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mctc-mutation-") as scratch:
        folder = Path(scratch)
        child = os.fork()
        if child == 0:
            try:
                os._exit(_run(tests, fault, folder))
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(70)
        _, status = os.waitpid(child, 0)
        text = (folder / "said").read_text(errors="replace") if (folder / "said").exists() else ""
    return Outcome(os.waitstatus_to_exitcode(status), text, time.monotonic() - began)


def _import_what_is_slow(tests: Sequence[str]) -> None:
    """What tests of these folders import. coremltools comes before torch, all of which it would import."""
    for folder, modules in SLOW.items():
        if any(map(re.compile(folder).match, tests)):
            for name in modules:
                with contextlib.suppress(ImportError), contextlib.redirect_stderr(None), _hidden("torch", name):
                    importlib.import_module(name)


@contextlib.contextmanager
def _hidden(module: str, importer: str) -> Iterator[None]:
    """Keeps coremltools from importing a module that is not imported yet."""
    hidden = importer.startswith("coremltools") and module not in sys.modules
    if hidden:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


def _run(tests: Sequence[str], fault: Fault | None, folder: Path) -> int:
    """In the child: pytest over the tests, with the fault in place. Nothing is left in the user's caches."""
    with (folder / "said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    signal.alarm(LIMIT)
    root = ROOT
    if fault is not None:
        (folder / "tree").mkdir()
        root = laid_over(fault, folder / "tree")
        if not fault.file.endswith(".py"):
            _compile_apart(folder)
    use(root)
    return _pytest(tests, folder)


def _compile_apart(folder: Path) -> None:
    """Libraries go to a cache of this child's own, and are not optimised: that would take longer than their test."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    compiler = folder / "compiler"
    compiler.write_text(f'#!/bin/sh\nexec {os.environ.get("CXX", "c++")} "$@" -O0\n')
    compiler.chmod(0o700)
    os.environ["CXX"] = str(compiler)


def _pytest(tests: Sequence[str], folder: Path) -> int:
    import pytest
    from hypothesis import Phase, settings

    # The same examples every time, and no search for smaller ones.
    settings.register_profile("seeded", phases=[Phase.explicit, Phase.generate], database=None, derandomize=True)
    settings.load_profile("seeded")
    os.environ["COLUMNS"] = "400"
    quiet = [
        "-q",
        "-x",
        "--hypothesis-profile=seeded",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-rfE",
        "--tb=no",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    return int(pytest.main([*quiet, f"--basetemp={folder / 'tmp'}", *tests]))


if __name__ == "__main__":
    serve()
