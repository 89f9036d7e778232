"""Known findings: written, read, left out, and noticed when they are gone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.baseline import KIND, Baseline, KnownFinding, apply, read, save, stale, write
from mctc.linter.coreml.report import Report
from tests.linter.coreml.made import ERROR, WARNING, finding, report

TWICE = [finding(WARNING, "conv_0"), finding(WARNING, "conv_0"), finding(ERROR, "conv_1")]


def known(*reports: Report, tmp_path: Path) -> Baseline:
    save(reports, tmp_path / "known.json")
    return read(tmp_path / "known.json")


def test_an_entry_a_fingerprint_with_its_count_the_same_in_any_order() -> None:
    text = write([report(TWICE), report([finding(ERROR)], path="a/b.mlpackage")])
    assert text == write([report([finding(ERROR)], path="b.mlpackage"), report(TWICE[::-1], path="x/m.mlpackage")])
    assert text.splitlines()[4:7] == [
        '    {"package": "b.mlpackage", "fingerprint": "ANE-XX-001|main||", "count": 1},',
        '    {"package": "m.mlpackage", "fingerprint": "ANE-XX-001|main|conv|conv_1", "count": 1},',
        '    {"package": "m.mlpackage", "fingerprint": "ANE-XX-002|main|conv|conv_0", "count": 2}',
    ]


def test_what_is_known_is_left_out_and_one_more_of_the_same_is_new(tmp_path: Path) -> None:
    baseline = known(report(TWICE), tmp_path=tmp_path)
    assert apply(report(TWICE), baseline) == report([], hidden=3)
    third = finding(WARNING, "conv_0", index=7)
    found = apply(report([*TWICE, third, finding(ERROR, "conv_2")], hidden=1), baseline)
    assert found.findings == (third, finding(ERROR, "conv_2"))
    assert found.hidden == 4


def test_a_package_goes_by_its_name_wherever_it_lies(tmp_path: Path) -> None:
    baseline = known(report(TWICE), tmp_path=tmp_path)
    assert not apply(report(TWICE, path="/elsewhere/m.mlpackage"), baseline).findings
    assert len(apply(report(TWICE, path="n.mlpackage"), baseline).findings) == 3


def test_packages_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    first, second = report(TWICE, path="one/m.mlpackage"), report(TWICE[:1], path="two/m.mlpackage")
    baseline = known(first, second, tmp_path=tmp_path)
    assert set(baseline.packages) == {"one/m.mlpackage", "two/m.mlpackage"}
    assert not apply(report(TWICE, path="/ci/one/m.mlpackage"), baseline).findings
    assert len(apply(report(TWICE, path="/ci/two/m.mlpackage"), baseline).findings) == 2


def test_what_is_gone_is_stale_where_its_rule_was_applied(tmp_path: Path) -> None:
    baseline = known(report(TWICE), report([finding(ERROR)], path="other.mlpackage"), tmp_path=tmp_path)
    now = [report(TWICE[1:2])]
    assert stale(now, baseline) == (
        KnownFinding("m.mlpackage", "ANE-XX-001|main|conv|conv_1", 1),
        KnownFinding("m.mlpackage", "ANE-XX-002|main|conv|conv_0", 1),
    )
    assert [each.fingerprint[:10] for each in stale(now, baseline, ["ANE-XX-002"])] == ["ANE-XX-002"]
    skipped = report(TWICE[1:2], skipped=(("ANE-XX-001", "chips M5"),))
    assert [each.fingerprint[:10] for each in stale([skipped], baseline)] == ["ANE-XX-002"]
    assert stale([report(TWICE)], baseline) == ()


def test_names_of_strangers_come_back_as_they_were(tmp_path: Path) -> None:
    hostile = [finding(ERROR, '\x1b[2J"|\n\ud800\u202e', op_type="a|b")]
    baseline = known(report(hostile), tmp_path=tmp_path)
    assert not apply(report(hostile), baseline).findings
    assert (tmp_path / "known.json").read_bytes().isascii()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not even JSON"),
        ("[" * 100_000, "not even JSON"),
        ("[]", "not a baseline of mctc lint"),
        ({"kind": "mctc lint report", "version": 1}, "not a baseline of mctc lint"),
        ({"kind": KIND, "version": 2, "findings": []}, "version 2, this mctc reads 1"),
        ({"kind": KIND, "version": "1" * 999, "findings": []}, "version"),
        ({"kind": KIND, "version": 1}, "no list of findings"),
        ({"kind": KIND, "version": 1, "findings": [3]}, "entry 1 is none"),
        ({"kind": KIND, "version": 1, "findings": [{"package": "m", "fingerprint": "f", "count": 0}]}, "entry 1"),
        ({"kind": KIND, "version": 1, "findings": [{"package": "m", "fingerprint": "f", "count": True}]}, "entry 1"),
        ({"kind": KIND, "version": 1, "findings": [{"package": "m", "fingerprint": None, "count": 1}]}, "entry 1"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    file = tmp_path / "known.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UsageError, match=said) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read") as caught:
        read(tmp_path / "known.json")
    assert "--write-baseline" in str(caught.value.hint)


def test_when_writing_fails_the_old_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "known.json"
    save([report(TWICE)], file)
    before = file.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="no space left"):
        save([report([])], file)
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_and_the_mode_of_the_file_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "known.json", tmp_path / "link.json"
    file.touch()
    file.chmod(0o640)
    link.symlink_to(file)
    save([report(TWICE)], link)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert read(file) == read(link)
    with pytest.raises(UsageError, match="no such file"):
        save([report(TWICE)], tmp_path / "none" / "known.json")
