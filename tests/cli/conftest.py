"""Running the command in the test's own process."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mctc.cli import main

SPEC = """model tiny(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz

    component encoder(mel: f32[B, T, 80]) -> f32[B, T, width] {
        return relu(linear(mel, width))
    }

    stream { chunk = 40 ms }
}
"""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


class Input:
    """Standard input that holds some bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def read(self) -> str:
        return self.buffer.read().decode()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`command("check", "a.mct", stdin=b"...")` runs a command line as `mctc` does, in this process."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> Done:
        monkeypatch.setattr("sys.stdin", Input(stdin))
        capsys.readouterr()
        try:
            code = main.run([str(argument) for argument in arguments])
        finally:
            gc.enable()  # some commands leave it off to their end
        told = capsys.readouterr()
        return Done(code, told.out, told.err)

    return run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of SPEC for the Neural Engine. Not to be changed."""
    from mctc.driver import BuildOptions, build

    folder = tmp_path_factory.mktemp("built")
    (folder / "tiny.mct").write_text(SPEC)
    return build(folder / "tiny.mct", folder / "tiny", BuildOptions()).folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty one with SPEC as tiny.mct in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.mct").write_text(SPEC)
    return tmp_path
