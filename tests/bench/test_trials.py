"""The trials of lost work: none fails, and they would see it if something were lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a child of each trial is forked")


def told(root: Path, folder: Path, seed: int, count: int, *kind: str, broken: str = "") -> list[dict[str, object]]:
    """What the trials report, those of every kind or of one; `broken` is Python that runs before them."""
    trials = f"import runpy; sys.argv = {['trials.py', str(folder), str(seed), str(count), *kind]}\n"
    trials += f"sys.path.insert(0, 'bench'); runpy.run_path({str(root / 'bench/trials.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{broken}\n{trials}"], cwd=root, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_one_trial_of_each_kind_loses_nothing(root: Path, tmp_path: Path) -> None:
    found = told(root, tmp_path, 7, 5)
    assert [trial["kind"] for trial in found] == ["killed", "interrupted", "full disk", "two at once", "damaged"]
    assert [trial["wrong"] for trial in found] == [[], [], [], [], []]


@pytest.mark.slow
def test_fifty_trials_lose_nothing(root: Path, tmp_path: Path) -> None:
    found = told(root, tmp_path, 8, 50)
    assert [trial["wrong"] for trial in found if trial["wrong"]] == []
    assert {0, 1, -9, 130} <= {trial["code"] for trial in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "broken", "fault"),
    [
        ("killed", "import mctc.driver.folder as f; f.carry = lambda *_, **__: None", "is lost"),
        ("killed", "import mctc.atomic as a; a.scratch.remove = lambda path: None", "left beside it"),
        ("damaged", "import mctc.driver.contents as c; c.differing = lambda *_: []", "what was changed is lost"),
    ],
)
def test_a_loss_is_seen(root: Path, tmp_path: Path, kind: str, broken: str, fault: str) -> None:
    found = told(root, tmp_path, 0, 13, kind, broken=broken)
    assert any(fault in str(trial["wrong"]) for trial in found), found


@pytest.mark.slow
def test_trials_of_damage_take_every_command_in_turn(root: Path, tmp_path: Path) -> None:
    found = told(root, tmp_path, 3, 6, "damaged")
    assert [trial["wrong"] for trial in found] == [[]] * 6


def test_every_kind_of_damage_changes_the_folder(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(root))
    from bench.damage import ANY, JSON

    for number, done in enumerate((*ANY, *JSON)):
        file = tmp_path / f"{number}.json"
        text = json.dumps({"a": [1, {"b": "c"}], "d": None}, indent=1)
        file.write_text(text)
        assert done(file, random.Random(number))
        assert not file.is_file() or file.read_bytes() != text.encode()
