"""A folder is replaced whole or not at all, whenever the process is killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from mctc import atomic
from mctc.atomic import exchange
from mctc.driver.folder import check_replaceable, replaced
from mctc.driver.manifest import write_manifest
from mctc.driver.options import BuildError

# Writes generation NEW over generation OLD in a process of its own that kills itself at the k-th event that touches the
# file system, for k = 1, 2, ... until it survives; prints the process id of each and what it left.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
from mctc import atomic
from mctc.driver import folder
target = Path(sys.argv[1])
if sys.argv[2] == "two renames":
    atomic.exchange = lambda one, other: False
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "os.scandir", "ctypes.dlsym")
def fill(place, text):
    (place / "sub").mkdir(parents=True, exist_ok=True)
    for name, content in json.loads(sys.argv[3])[text].items():
        (place / name).write_text(content)

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


def manifest(text: str) -> str:
    return json.dumps({"mctc": "0", "files": {name: sha256(text.encode()).hexdigest() for name in ("a", "sub/b")}})


def fill(folder: Path, text: str) -> None:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    for name, content in whole(text).items():
        (folder / name).write_text(content)


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def whole(text: str) -> dict[str, str]:
    return {"manifest.json": manifest(text), "a": text, "sub/b": text}


def killed_everywhere(root: Path, target: Path, mode: str) -> list[Outcome]:
    """After a kill at each event in turn: what stands at the target, what after recovery, and what beside it."""
    texts = json.dumps({text: whole(text) for text in ("old", "new")})
    command = [sys.executable, "-c", DRIVER, str(target), mode, texts]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=120)
    return [tuple(outcome) for outcome in json.loads(done.stdout)]


@pytest.mark.quick("exchange")
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


def rebuilt(folder: Path, *, force: bool = False) -> None:
    with replaced(folder, force=force) as fresh:
        fill(fresh, "new")


def test_what_no_build_wrote_is_in_the_new_folder_too(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    fill(folder, "old")
    (folder / "sub" / "runs" / "empty").mkdir(parents=True)
    (folder / "sub" / "runs" / "last.pt").write_bytes(b"weeks of training")
    (folder / "latest").symlink_to("sub/runs")
    inode = (folder / "sub/runs/last.pt").stat().st_ino
    for force in (False, True):
        rebuilt(folder, force=force)
        assert contents(folder) == {**whole("new"), "sub/runs/last.pt": "weeks of training"}
        assert (folder / "sub/runs/last.pt").stat().st_ino == inode
        assert (folder / "sub/runs/empty").is_dir()
        assert (folder / "latest").readlink() == Path("sub/runs")


def test_a_file_without_hard_links_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    fill(tmp_path / "model", "old")
    (tmp_path / "model" / "last.pt").write_bytes(b"weeks")
    rebuilt(tmp_path / "model")
    assert (tmp_path / "model" / "last.pt").read_bytes() == b"weeks"


def test_what_comes_while_the_folders_are_exchanged_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(one: Path, other: Path) -> bool:
        (other / "late.pt").write_text("just now")
        return exchange(one, other)

    monkeypatch.setattr(atomic, "exchange", late)
    fill(tmp_path / "model", "old")
    rebuilt(tmp_path / "model")
    assert contents(tmp_path / "model") == {**whole("new"), "late.pt": "just now"}


@pytest.mark.parametrize("edit", ["a", "sub/b", "manifest.json"])
def test_a_file_that_was_changed_since_stops_a_build_unless_forced(tmp_path: Path, edit: str) -> None:
    folder = tmp_path / "model"
    with replaced(folder) as fresh:
        fill(fresh, "old")
        write_manifest(fresh, json.loads(manifest("old")))
    (folder / edit).write_text((folder / edit).read_text().replace("sub/b", "sub/c") + " ")
    before = contents(folder)
    for stop in (check_replaceable, rebuilt):
        with pytest.raises(BuildError, match=f"changed since .* was built: {edit}$") as caught:
            stop(folder)
        assert "--force" in str(caught.value.hint)
    assert contents(folder) == before
    rebuilt(folder, force=True)
    assert contents(folder) == whole("new")


def test_a_file_that_was_deleted_since_is_written_again(tmp_path: Path) -> None:
    fill(tmp_path / "model", "old")
    (tmp_path / "model" / "a").unlink()
    rebuilt(tmp_path / "model")
    assert contents(tmp_path / "model") == whole("new")


@pytest.mark.parametrize("name", ["c", "c/deeper", "sub/d"])
def test_a_file_in_the_way_of_the_new_build_stops_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    fill(folder, "old")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")

    def rebuild(*, force: bool) -> None:
        with replaced(folder, force=force) as fresh:
            fill(fresh, "new")
            (fresh / "c").write_text("new")
            (fresh / "sub/d").mkdir()

    with pytest.raises(BuildError, match=f"names: {name}$"):
        rebuild(force=False)
    assert contents(folder) == {**whole("old"), name: "mine"}
    rebuild(force=True)
    assert contents(folder) == {**whole("new"), "c": "new"}


@pytest.mark.parametrize("damage", ['{"files": {"a": "b"}}', "", "{", "[]", '{"files": []}', "\udcff", "[" * 100_000])
def test_where_the_manifest_is_damaged_nothing_is_replaced_unless_forced(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    fill(folder, "old")
    (folder / "manifest.json").write_bytes(damage.encode(errors="surrogateescape"))
    (folder / "mine").write_text("mine")
    with pytest.raises(BuildError, match="damaged"):
        rebuilt(folder)
    assert (folder / "a").read_text() == "old"
    rebuilt(folder, force=True)
    assert contents(folder) == whole("new")


def test_builds_into_one_folder_at_once_leave_one_of_them_whole(root: Path, tmp_path: Path) -> None:
    driver = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests/driver'); from test_folder import *\n"
        "for _ in range(8):\n with replaced(Path(sys.argv[1])) as fresh: fill(fresh, sys.argv[2])"
    )
    fill(tmp_path / "model", "old")
    (tmp_path / "model" / "mine").write_text("mine")
    command = [sys.executable, "-c", driver, str(tmp_path / "model")]
    running = [subprocess.Popen([*command, text], cwd=root, stderr=subprocess.PIPE) for text in ("one", "two")]
    assert [process.communicate(timeout=60)[1] for process in running] == [b"", b""]
    assert contents(tmp_path / "model") in [{**whole(text), "mine": "mine"} for text in ("one", "two")]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_folder_that_one_stands_in_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "model", "old")
    monkeypatch.chdir(tmp_path / "model" / "sub")
    for target in (Path(), Path(".."), tmp_path / "model", tmp_path):
        with pytest.raises(BuildError, match="the current folder"):
            rebuilt(target, force=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "model"))
    with pytest.raises(BuildError, match="your home folder"):
        rebuilt(tmp_path / "model", force=True)
    assert contents(tmp_path / "model") == whole("old")


def test_a_folder_that_holds_what_is_read_is_replaced_only_where_a_build_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "m.mct").write_text("model m {}")
    with pytest.raises(BuildError, match=r"m\.mct, which is read"):
        check_replaceable(tmp_path / "specs", force=True, inputs=[tmp_path / "specs" / "m.mct"])
    fill(tmp_path / "model", "old")
    check_replaceable(tmp_path / "model", inputs=[tmp_path / "model" / "a"])
