"""What README.md shows of `mctc why` is what it prints of the build that it speaks of."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from mctc.cli.why import why
from mctc.driver import BuildOptions, build


def test_the_readme_traces_an_operation_that_the_build_has(root: Path, tmp_path: Path) -> None:
    shown = (root / "README.md").read_text(encoding="utf-8").partition("$ mctc why ")[2].partition("\n```")[0]
    name, _, lines = shown.partition("\n")
    folder = build(root / "spec/mct_small.mct", tmp_path / "built", BuildOptions()).folder
    done = CliRunner().invoke(why, [name, "--build", str(folder)], catch_exceptions=False)
    assert (done.exit_code, done.output.rstrip("\n")) == (0, lines)
