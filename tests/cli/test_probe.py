"""`mctc probe` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command


def test_a_kit_is_written_and_answers_are_read(command: Command, tmp_path: Path) -> None:
    done = command("probe", "write", tmp_path / "kit")
    assert done.code == 0, done.err
    assert "33 probes" in done.out
    assert command("probe", "rehearse", tmp_path / "a.zip", "--arithmetic", "engine:h16").code == 0
    done = command("probe", "read", tmp_path / "a.zip", "--constants", tmp_path / "c.json", "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert {each["subject"] for each in record["verdicts"]} > {"sums", "table_gelu", "ANE-MM-005"}
    assert len(json.loads((tmp_path / "c.json").read_text())["tables"]["silu"]["values"]) == 33


def test_what_cannot_be_done_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("keep")
    cases = (
        (("write", tmp_path / "mine"), 1, "was not written by mctc"),
        (("read", tmp_path / "none.zip"), 1, "can't be read"),
        (("rehearse", tmp_path / "a.tar"), 2, "answers are a .zip"),
        (("rehearse", tmp_path / "a.zip", "--arithmetic", "engine:h13"), 2, "is contested"),
        (("rehearse", tmp_path / "a.zip", "--device", "M99"), 2, "there is no device"),
    )
    for arguments, code, message in cases:
        done = command("probe", *arguments)
        assert done.code == code, (arguments, done.err)
        assert message in done.err
    assert (tmp_path / "mine" / "notes").read_text() == "keep"
