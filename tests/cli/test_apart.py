"""Commands of compression write over none of the files that they read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.cli.main import run

READ = ("stats", "weights", "m.mct", "data")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in READ:
        (tmp_path / name).write_text(f"what took long: {name}")
    (tmp_path / "link").symlink_to("weights")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("compress m.mct --stats stats --weights weights -o stats", "-o stats is the file that --stats reads"),
        ("compress m.mct --stats stats --weights weights -o link", "-o link is the file that --weights reads"),
        (
            "compress m.mct --stats stats --weights weights --size 1MB --plot m.mct",
            "--plot m.mct is the file that SPEC reads",
        ),
        (
            "compress m.mct --stats stats --weights weights --size 1MB --build . --data data -o data",
            "-o data is the file that --data reads",
        ),
        ("prune m.mct --stats stats --weights weights -o ./weights", "-o weights is the file that --weights reads"),
        ("prune m.mct --stats stats --weights weights -o m.mct", "-o m.mct is the file that SPEC reads"),
    ],
)
def test_what_is_read_is_not_written(command: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (folder / name).read_text() for name in READ}
    assert run(command.split()) == 2
    assert f"error: {told}" in capsys.readouterr().err
    assert {name: (folder / name).read_text() for name in READ} == before
