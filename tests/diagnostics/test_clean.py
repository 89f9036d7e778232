"""Names of somebody else's file don't drive a terminal, wherever they are printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mctc.cli.main import run
from mctc.diagnostics.clean import clean
from mctc.diagnostics.errors import MctcError

PROGRAM = """program(1.0)
{
    func main<ios16>(tensor<fp32, [4]> x) {
        tensor<fp32, [4]> y = OP(x = x)[name = tensor<string, []>("\\x1b[31mred\\n::error::")];
    } -> (y);
}
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é ü 語", "plain é ü 語"),
        ("a\x1b[2Jb", "a�[2Jb"),
        ("a\nb\tc\r", "a�b�c�"),
        ("\u202eevil\u200b", "�evil�"),
        ("Screenshot 4.41\u202fPM\u00a0", "Screenshot 4.41\u202fPM\u00a0"),  # as macOS names files
        ("a\udcffb", "a�b"),
        ("", ""),
        (None, ""),
    ],
)
def test_what_can_not_be_seen_is_replaced(text: str | None, shown: str) -> None:
    assert clean(text) == shown


def test_an_error_keeps_its_lines_and_its_own_colours() -> None:
    error = MctcError("a\x1b[2J:\n\tb", hint="c\x07")
    assert error.render() == "error: a�[2J:\n\tb\n  hint: c�"
    assert error.render(color=True) == "\x1b[1;31merror:\x1b[0m a�[2J:\n\tb\n\x1b[36m  hint:\x1b[0m c�"


@pytest.mark.parametrize("op", ["relu", "frobnicate"])
def test_names_of_a_package_are_printed_without(tmp_path: Path, op: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(PROGRAM.replace("OP", op))
    np.save(tmp_path / "x.npy", np.ones(4))
    assert run(["run", str(folder), "--input", str(tmp_path / "x.npy")]) == (op != "relu")
    printed = "".join(capfd.readouterr())
    assert "y: float32 [4]" in printed or "frobnicate" in printed
    assert "\x1b" not in printed
    assert not [line for line in printed.splitlines() if line.startswith("::")]
