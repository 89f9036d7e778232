"""A folder is replaced whole or not at all, whenever the process is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mctc.atomic import exchange
from mctc.build.folder import MANIFEST, replaced
from mctc.build.options import BuildError

# Writes generation NEW over generation OLD in a process of its own that kills itself at the k-th event that touches the
# file system, for k = 1, 2, ... until it survives; prints the process id of each and what it left.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
from mctc import atomic
from mctc.build import folder
target = Path(sys.argv[1])
if sys.argv[2] == "two renames":
    atomic.exchange = lambda one, other: False
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.scandir", "ctypes.dlsym")
FILES = ("manifest.json", "a", "sub/b")

def fill(place, text):
    (place / "sub").mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (place / name).write_text(text)

def contents(place):
    files = [path for path in sorted(place.rglob("*")) if path.is_file()]
    return {path.relative_to(place).as_posix(): path.read_text() for path in files}

def write(kill_at):
    count = 0
    def watch(event, arguments):
        nonlocal count
        count += event in EVENTS
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    with folder.replaced(target) as fresh:
        fill(fresh, "new")
    os._exit(0)

outcomes, status, kill_at = [], 1, 0
while status != 0:
    kill_at += 1
    fill(target, "old")
    child = os.fork()
    if child == 0:
        write(kill_at)
    status = os.waitpid(child, 0)[1]
    left = contents(target) if target.exists() else None
    atomic.recover(target)
    outcomes.append([left, contents(target), [path.name for path in target.parent.iterdir()]])
print(json.dumps(outcomes))
"""
Outcome = tuple[dict[str, str] | None, dict[str, str], list[str]]


def fill(folder: Path, text: str) -> None:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, "a", "sub/b"):
        (folder / name).write_text(text)


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def whole(text: str) -> dict[str, str]:
    return {MANIFEST: text, "a": text, "sub/b": text}


def killed_everywhere(root: Path, target: Path, mode: str) -> list[Outcome]:
    """After a kill at each event in turn: what stands at the target, what after recovery, and what beside it."""
    command = [sys.executable, "-c", DRIVER, str(target), mode]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=120)
    return [tuple(outcome) for outcome in json.loads(done.stdout)]


@pytest.mark.parametrize("mode", ["exchange", "two renames"])
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path: Path, root: Path, mode: str) -> None:
    fill(tmp_path / "one", "one")
    fill(tmp_path / "two", "two")
    atomic = mode == "exchange" and exchange(tmp_path / "one", tmp_path / "two")
    outcomes = killed_everywhere(root, tmp_path / "out" / "model", mode)
    assert len(outcomes) > 10
    for left, recovered, beside in outcomes:
        assert left in (whole("old"), whole("new")) or (left is None and not atomic)
        assert recovered in (whole("old"), whole("new"))
        assert beside == ["model"]
    assert outcomes[0][0] == whole("old")
    assert outcomes[-1][0] == whole("new")


def test_an_exchange_swaps_two_folders(tmp_path: Path) -> None:
    fill(tmp_path / "one", "one")
    fill(tmp_path / "two", "two")
    if exchange(tmp_path / "one", tmp_path / "two"):
        assert contents(tmp_path / "one") == whole("two")
        assert contents(tmp_path / "two") == whole("one")
    else:
        assert contents(tmp_path / "one") == whole("one")


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "model"
    fill(target, "old")

    def fail() -> None:
        with replaced(target) as fresh:
            fill(fresh, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(target) == whole("old")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years")
    with pytest.raises(BuildError, match="was not written by mctc"), replaced(tmp_path / "precious"):
        pass
    assert contents(tmp_path / "precious") == {"thesis.tex": "years"}
    with replaced(tmp_path / "precious", force=True) as fresh:
        (fresh / "a").write_text("forced")
    assert contents(tmp_path / "precious") == {"a": "forced"}


def test_a_file_is_not_replaced_even_by_force(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(BuildError, match="is a file"), replaced(tmp_path / "model", force=True):
        pass


def test_an_empty_folder_and_a_missing_one_are_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "deep" / "below" / "[missing]"):
        with replaced(target) as fresh:
            fill(fresh, "new")
        assert contents(target) == whole("new")


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    fill(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replaced(tmp_path / "link") as fresh:
        fill(fresh, "new")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == whole("new")
