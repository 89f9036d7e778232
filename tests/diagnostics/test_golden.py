"""Each diagnostic code has a source that gives it and the text that it prints.

MCTC_UPDATE_GOLDEN=1 writes the files anew from the examples of the catalogue; read the difference before committing.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from docs.pages.diagnostics import page
from mctc.diagnostics.catalogue import CATALOGUE, explain
from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.render import render_all
from mctc.language import check_file, elaborate_file

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
UPDATE = bool(os.environ.get("MCTC_UPDATE_GOLDEN"))
MODEL = CATALOGUE["MCT0146"].example.replace("stream { chunk = 160 ms }", "")


def _folder() -> Sequence[Diagnostic]:
    Path("folder.mct").mkdir()
    return check_file("folder.mct")


def _bytes(data: bytes) -> Sequence[Diagnostic]:
    Path("source.mct").write_bytes(data)
    return check_file("source.mct")


def _data(written: str, *entries: float) -> Sequence[Diagnostic]:
    np.save("mean.npy", np.array(entries))
    Path("source.mct").write_text(CATALOGUE["MCT0061"].example.replace('"mean.npy"', written))
    return check_file("source.mct")


def _override() -> Sequence[Diagnostic]:
    Path("source.mct").write_text(MODEL)
    return check_file("source.mct", defines={"width": 2**300})


def _without_model() -> Sequence[Diagnostic]:
    Path("source.mct").write_text("block b(x: f32[..., C]) { return x }\n")
    return _raised(lambda: elaborate_file("source.mct"))


def _derived(code: str, chunk: int) -> Sequence[Diagnostic]:
    from mctc.streaming.derive import derive_program

    return _raised(lambda: derive_program(elaborate_file(f"{code}.mct"), chunk))


def _built(code: str) -> Sequence[Diagnostic]:
    """What `mctc check` finds behind the language."""
    from mctc.driver.check import check_program

    return check_program(elaborate_file(f"{code}.mct"))


def _compiled(code: str) -> Sequence[Diagnostic]:
    from mctc.driver.compile import compile_program
    from mctc.driver.options import BuildOptions

    return _raised(lambda: compile_program(elaborate_file(f"{code}.mct"), BuildOptions()))


def _raised(action: Callable[[], object]) -> Sequence[Diagnostic]:
    with pytest.raises(DiagnosticError) as caught:
        action()
    return caught.value.diagnostics


BUILT = (
    "MCT0149", "MCT0155", "MCT0156", "MCT0157", "MCT0158", "MCT0203", "MCT0204", "MCT0205", "MCT0206", "MCT0207",
    "MCT0209", "MCT0210", "MCT0211", "MCT0212",
)  # fmt: skip
# Codes that no file of text alone can give.
SPECIAL: dict[str, Callable[[], Sequence[Diagnostic]]] = {
    "MCT0001": lambda: check_file("missing.mct"),
    "MCT0002": _folder,
    "MCT0003": lambda: _bytes(b'import "a.mct"\nmodel m\xff {\n}\n'),
    "MCT0004": lambda: _bytes(b"model m {\n    dim T\x00: time @ 100 Hz\n}\n"),
    "MCT0005": lambda: _bytes(b"# " + b"x" * 1_000_000),
    "MCT0056": _override,
    "MCT0062": lambda: _data('"mean.npy", shape = [width]', 1, 2, 3),
    "MCT0063": lambda: _data('"mean.npy"', 0, math.nan, math.inf),
    "MCT0057": _without_model,
    **{code: lambda code=code: _built(code) for code in BUILT},
    "MCT0201": lambda: _derived("MCT0201", 32),
    "MCT0202": lambda: _derived("MCT0202", 3),
    "MCT0208": lambda: _compiled("MCT0208"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_code_prints_what_it_should(code: str, project: Path) -> None:
    source, expected, example = GOLDEN / f"{code}.mct", GOLDEN / f"{code}.txt", CATALOGUE[code].example
    if example:
        if UPDATE:
            source.write_text(example)
        assert source.read_text() == example, "the golden source is the catalogue's example"
        (project / source.name).write_text(example)
    diagnostics = SPECIAL[code]() if code in SPECIAL else check_file(f"{code}.mct")
    assert [diagnostic.code for diagnostic in diagnostics] == [code]
    text = render_all(diagnostics) + "\n"
    if UPDATE:
        expected.write_text(text)
    assert text == expected.read_text()


def test_every_golden_file_belongs_to_a_code() -> None:
    wanted = {f"{code}.txt" for code in CATALOGUE} | {f"{c}.mct" for c, entry in CATALOGUE.items() if entry.example}
    assert {path.name for path in GOLDEN.iterdir()} == wanted


def test_every_code_that_is_raised_is_explained() -> None:
    raised: set[str] = set()
    for path in (path for room in ("mctc", "passes", "targets") for path in (ROOT / room).rglob("*.py")):
        if "catalogue" not in path.parts:
            raised |= set(re.findall(r'"(MCT\d{4})"', path.read_text()))
    assert raised == set(CATALOGUE)


def test_explanations_hold_title_text_and_example() -> None:
    text = explain("mct0051")
    entry = CATALOGUE["MCT0051"]
    assert entry.title in text
    assert entry.explanation in text
    assert "layernorm" in text


def test_an_unknown_code_is_refused_with_near_ones() -> None:
    with pytest.raises(UsageError) as caught:
        explain("MCT051")
    assert "MCT0051" in str(caught.value.hint)


def test_the_page_of_diagnostics_is_current() -> None:
    file = ROOT / "docs" / "diagnostics.md"
    if UPDATE:
        file.write_text(page())
    assert file.read_text() == page()
