"""What the tests of the language share: sources in memory, written to a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.ir.program import Program
from mctc.ir.verify import verify
from mctc.language import check_file, elaborate_file

HEAD = "dim B: batch\ndim T: time @ 100 Hz\n"

Elaborate = Callable[..., Program]
Check = Callable[..., list[Diagnostic]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "spec.mct") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def elaborate(write: Callable[[str], Path]) -> Elaborate:
    """The verified program of a source."""

    def elaborate(text: str, model: str | None = None, defines: Mapping[str, Any] | None = None) -> Program:
        program = elaborate_file(write(text), model=model, defines=defines)
        verify(program)
        return program

    return elaborate


@pytest.fixture
def check(write: Callable[[str], Path]) -> Check:
    def check(text: str, **options: Any) -> list[Diagnostic]:
        return check_file(write(text), **options)

    return check


def component(*lines: str, inputs: str = "x: f32[B, T, 8]", result: str = "f32[B, T, 8]", values: str = "") -> str:
    """A model `m` with one component `c` that holds `lines`."""
    body = "\n".join(lines)
    return f"model m({values}) {{\n{HEAD}component c({inputs}) -> {result} {{\n{body}\n}}\n}}\n"
