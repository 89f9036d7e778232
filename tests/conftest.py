"""What tests of several rooms share: which cases of a sweep are quick, running the command in a process of its own, and
what that process imported."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
REPORTER = """
import sys
from mctc.cli.main import run
code = run(sys.argv[2:])
with open(sys.argv[1], "w") as report:
    report.write("\\n".join(name for name, module in sys.modules.items() if module is not None))
sys.exit(code)
"""

if find_spec("hypothesis") is not None:
    from hypothesis import HealthCheck, settings

    # On a busy machine drawing inputs is slow, too: no test depends on the time. The quick set judges a change, so its
    # examples are the same from run to run; who asks for a number of examples (as the nightly set does) gets new ones.
    settings.register_profile(
        "mctc",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize="MCTC_EXAMPLES" not in os.environ,
    )
    settings.load_profile("mctc")

Run = Callable[..., subprocess.CompletedProcess[str]]
WITHOUT_TORCH = ("targets/torch/test_golden.py",)  # of the training side, what can be tested without torch


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Where torch isn't installed, the tests of the training side are left out; nothing else needs it."""
    if find_spec("torch") is not None or not collection_path.is_relative_to(ROOT / "tests"):
        return None
    path = collection_path.relative_to(ROOT / "tests").as_posix()
    training = path in ("metal", "bench/test_gpu.py")
    training |= path.startswith(("targets/torch/test_", "examples/test_speech_"))
    return True if training and path not in WITHOUT_TORCH else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`@pytest.mark.quick("a", "b")` on a parametrised test: its other cases are slow."""
    named: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    for item in items:
        marker, case = item.get_closest_marker("quick"), getattr(item, "callspec", None)
        if marker is None or case is None:
            continue
        test = item.nodeid.partition("[")[0]
        named.setdefault(test, set()).update(marker.args)
        found.setdefault(test, set()).add(case.id)
        if case.id not in marker.args:
            item.add_marker(pytest.mark.slow)
    whole = not any("::" in argument for argument in config.args)
    for test, ids in named.items():
        if whole and ids - found[test]:
            raise pytest.UsageError(f"{test} has no case {', '.join(sorted(ids - found[test]))} to be quick")


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def small(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transducer like mct_small."""
    from mctc.driver import BuildOptions, build

    defines = {"width": 32, "depth": 2, "vocab": 30}
    folder = tmp_path_factory.mktemp("build") / "small"
    build(root / "spec/mct_small.mct", folder, BuildOptions(defines=defines))
    return folder


@pytest.fixture(scope="session")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose encoder looks ahead."""
    from mctc.driver import BuildOptions, build

    folder = tmp_path_factory.mktemp("build") / "ahead"
    build(ROOT / "tests/runtime/ahead.mct", folder, BuildOptions())
    return folder


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that does not hear."""
    from mctc.driver import BuildOptions, build

    folder = tmp_path_factory.mktemp("build") / "bare"
    build(ROOT / "tests/runtime/bare.mct", folder, BuildOptions())
    return folder


@pytest.fixture(scope="session")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds and recordings of words that are known: see tests/said.py."""
    from tests.said import make_said

    return make_said(tmp_path_factory.mktemp("said"))


@pytest.fixture(scope="session")
def coremltools() -> Any:
    """coremltools, imported without torch."""
    from mctc.targets.ane.coremltools_import import import_coremltools

    return import_coremltools(hide=True)


@pytest.fixture
def mctc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`mctc('check', 'a.mct')` runs the command line, in `tmp_path` unless `cwd` says otherwise.

    It runs in the process of the test, which is four times as fast; in one of its own where the test or its file is
    marked `process`: plugins are loaded, and what is imported is of interest.
    """
    apart = request.node.get_closest_marker("process") is not None

    def run(*arguments: str | Path, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        words = [*map(str, arguments)]
        if apart:
            command, env = [sys.executable, "-m", "mctc", *words], {**os.environ, **environment}
            return subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, timeout=300)
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            for name, value in ({"COLUMNS": "80"} | environment).items():
                patch.setenv(name, value)
            return _in_this_process(words)

    return run


def _in_this_process(words: list[str]) -> subprocess.CompletedProcess[str]:
    """What a process prints into pipes."""
    from mctc.cli.main import run

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = run(words)
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(words, code, said, complained)


@pytest.fixture
def imported_by(tmp_path: Path) -> Callable[..., set[str]]:
    """`imported_by('check', 'a.mct')` is the set of modules a process holds after that command; it must succeed."""

    def modules(*arguments: str | Path, cwd: Path = tmp_path) -> set[str]:
        report = tmp_path / "modules.txt"
        command = [sys.executable, "-c", REPORTER, str(report), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return set(report.read_text().split())

    return modules
