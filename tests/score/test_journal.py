"""What was done survives a kill; what isn't this run's own is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.score.errors import ScoreError
from mctc.score.journal import journal
from mctc.score.record import Record

ABOUT = {"systems": [{"build": "b", "manifest": "1"}], "data": {"utterances": 2}, "offsets": 1}
FIRST = Record(0, "one", 0, "a b", "a", 1.5, 0.1, None, (0.25,))
SECOND = Record(0, "zw\u00f6lf\u2028", 0, "a", "a", 1.0, 0.1, 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "done.jsonl"
    with journal(path, ABOUT) as opened:
        opened.append(FIRST)
        opened.append(SECOND)
    return path


def test_records_are_there_again(path: Path) -> None:
    with journal(path, ABOUT) as opened:
        assert opened.records == [FIRST, SECOND]


def test_a_torn_last_line_is_done_again_wherever_it_is_torn(path: Path) -> None:
    whole = path.read_bytes()
    header, first, second = whole.splitlines(keepends=True)
    for size in [*range(0, len(whole), 9), len(header + first), len(whole) - 1]:
        path.write_bytes(whole[:size])
        known = [FIRST] * (size >= len(header + first))
        with journal(path, ABOUT) as opened:
            assert opened.records == known
            opened.append(SECOND)
        assert path.read_bytes() == header + first * len(known) + second


def test_a_build_may_lie_elsewhere(path: Path) -> None:
    with journal(path, {**ABOUT, "systems": [{"build": "elsewhere/b", "manifest": "1"}]}) as opened:
        assert len(opened.records) == 2


def test_another_run_is_refused(path: Path) -> None:
    with (
        pytest.raises(ScoreError, match=r"another run: it differs in offsets, systems"),
        journal(path, {**ABOUT, "systems": [{"build": "b", "manifest": "2"}], "offsets": 4}),
    ):
        pass


@pytest.mark.parametrize("content", [b"a letter without an end", b"{}\n{}\n", b"[1]\ntorn", b"\xff\n"])
def test_another_program_s_file_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(ScoreError, match=r"mine.txt:1: this is no record of mctc score"), journal(path, ABOUT):
        pass
    assert path.read_bytes() == content


def test_a_damaged_line_is_named(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"system": 0}\n' + lines[2])
    with pytest.raises(ScoreError, match=r"done.jsonl:2: this line is damaged"), journal(path, ABOUT):
        pass


def test_two_processes_don_t_share_a_file(path: Path) -> None:
    with journal(path, ABOUT), pytest.raises(ScoreError, match="another process"), journal(path, ABOUT):
        pass
