"""What coverage-guided fuzzing tries of texts and models, without its engine: the seeds are read, what was found once
stays mended."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path
from random import Random

import pytest

from bench.fuzz.guided import bundle
from bench.fuzz.guided.audio import try_sound
from bench.fuzz.guided.examples import IR, MODELS, SPECS
from bench.fuzz.guided.memory import HEADROOM, limited_memory
from bench.fuzz.guided.packaging import bundle_of
from bench.fuzz.guided.parser import try_text
from bench.fuzz.guided.reader import try_model
from bench.fuzz.guided.sandbox import sandboxed
from bench.fuzz.guided.session import LONGEST, Target, run, timed
from bench.fuzz.guided.targets import target
from bench.fuzz.guided.verdict import Finding, Trial, Verdict, refused
from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.notation import read_notation
from mctc.package import PackageError

REGRESSIONS = Path(__file__).parent / "regressions"
TRIALS: dict[str, Trial] = {"parser": try_text, "reader": try_model, "audio": try_sound}


@pytest.fixture(scope="module", params=["parser", "reader"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Target]:
    """A target with its seeds, made once."""
    return request.param, target(request.param, tmp_path_factory.mktemp("seeds"))


def _few_bytes(data: bytes, most: int) -> bytes:
    """In the place of libFuzzer's mutation of bytes."""
    return (data[: len(data) // 2] + b"\xff\0" + data[len(data) // 2 + 1 :])[:most]


@pytest.mark.parametrize("text", [*SPECS, *IR])
def test_every_example_text_is_accepted(text: str, tmp_path: Path) -> None:
    assert try_text(text.encode(), tmp_path) is Verdict.ACCEPTED


@pytest.mark.parametrize("text", MODELS)
def test_every_example_model_is_accepted(text: str, tmp_path: Path) -> None:
    assert try_model(bundle_of(read_notation(text)).encoded(), tmp_path) is Verdict.ACCEPTED


def test_mutated_seeds_are_read_or_refused(made: tuple[str, Target], tmp_path: Path) -> None:
    name, fuzzed = made
    random, verdicts = Random(2), []
    for _ in range(150):
        data = fuzzed.mutate(random.choice(fuzzed.seeds), random, LONGEST[name], _few_bytes)
        assert len(data) <= LONGEST[name]
        verdicts.append(fuzzed.trial(data, tmp_path))
    assert set(verdicts) == set(Verdict)


@pytest.mark.parametrize("path", sorted(REGRESSIONS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_stays_mended(path: Path, tmp_path: Path) -> None:
    trial = TRIALS[path.name.partition("-")[0]]
    trial(b"", tmp_path)  # what is imported when first used
    with limited_memory():
        assert trial(path.read_bytes(), tmp_path) is Verdict.REFUSED


def test_any_bytes_are_a_model(tmp_path: Path) -> None:
    random = Random(3)
    for size in (0, 1, 5, 6, 40):
        data = random.randbytes(size)
        whole = bundle.decoded(bundle.decoded(data).encoded())
        assert whole == bundle.decoded(data)
        assert try_model(data, tmp_path) is Verdict.REFUSED


def test_the_fence_stops_and_remembers_what_is_opened_outside(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.write_text("secret")
    (inside / "link").symlink_to(outside)
    with sandboxed([inside]):
        (inside / "file").write_text("allowed")
        assert os.listdir(inside)  # noqa: PTH208 — the event that is watched
    for name in ("link", "../out"):
        with pytest.raises(Finding, match="outside of the input"), sandboxed([inside]), contextlib.suppress(Exception):
            (inside / name).read_text()  # code that swallows the exception is found out at the end
    outside.read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what a process has")
def test_memory_is_limited_inside_and_free_again_outside() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with limited_memory(), pytest.raises(MemoryError):
        bytearray(HEADROOM + (1 << 28))
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_an_input_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuses(data: bytes, folder: Path) -> Verdict:
        return Verdict.REFUSED

    fuzzed = Target(refuses, [], lambda data, random, most, plain: data)
    timed(fuzzed, b"", tmp_path)
    monkeypatch.setattr("bench.fuzz.guided.session.CPU_SECONDS", -1.0)
    with pytest.raises(TimeoutError, match="processor time for 3 bytes"):
        timed(fuzzed, b"abc", tmp_path)


def test_without_atheris_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    with pytest.raises(UsageError, match="needs atheris") as raised:
        run("parser", 1.0, tmp_path)
    assert raised.value.hint is not None
    assert "pip install atheris" in raised.value.hint


def test_a_lack_of_memory_is_a_finding_however_it_is_worded() -> None:
    error = PackageError("too large")
    assert refused(error) is Verdict.REFUSED
    error.__cause__ = MemoryError()
    with pytest.raises(Finding, match="out of memory: too large"):
        refused(error)
