"""A file is replaced whole or not at all, and only where a regular file, or nothing, is."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mctc import scratch
from mctc.atomic import whole_file, write_text

WRITE = "import sys; from pathlib import Path; from mctc.atomic import write_text; print('first')\n"
WRITE += "write_text(Path(sys.argv[1]), 'report')"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_takes_the_mode_of_the_process_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "new", "text")
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o640)
    write_text(tmp_path / "old", "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    assert (tmp_path / "old").read_text() == "new"
    assert names(tmp_path) == ["new", "old", "plain"]


def test_a_fifo_is_written_through_and_stays_one(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    write_text(fifo, "report")
    reader.join(timeout=10)
    assert read == ["report"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_the_output_of_the_process_is_written_through_whatever_it_is(tmp_path: Path, path: str) -> None:
    if path.startswith("/proc") and not Path("/proc/self/fd").exists():
        pytest.skip("this system has no /proc")
    (tmp_path / "link").symlink_to("/dev/stdout")
    command = [sys.executable, "-c", WRITE, path]
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (piped.stdout, piped.stderr) == ("first\nreport", "")
    with (tmp_path / "log").open("w") as log:
        log.write("earlier\n")
        log.flush()
        inode = os.fstat(log.fileno()).st_ino
        subprocess.run(command, cwd=tmp_path, stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "earlier\nfirst\nreport"
    assert (tmp_path / "log").stat().st_ino == inode
    assert names(tmp_path) == ["link", "log"]


def test_a_descriptor_is_written_through_and_its_file_stays(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        write_text(Path(f"/dev/fd/{log.fileno()}"), "report")
        assert (tmp_path / "log").stat().st_ino == os.fstat(log.fileno()).st_ino
    assert (tmp_path / "log").read_text() == "report"


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "ahead").symlink_to("later")
    for link, real in (("link", "real"), ("ahead", "later")):
        write_text(tmp_path / link, "new")
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / real).read_text() == "new"


def test_links_in_a_circle_and_folders_are_refused_and_left(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "folder").mkdir()
    for name, code in (("circle", errno.ELOOP), ("folder", errno.EISDIR), ("absent/file", errno.ENOENT)):
        with pytest.raises(OSError, match=name.partition("/")[0]) as caught:
            write_text(tmp_path / name, "new")
        assert caught.value.errno == code
    assert names(tmp_path) == ["circle", "folder"]
    assert (tmp_path / "circle").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_file_that_may_not_be_written_is_left(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    (tmp_path / "kept").chmod(0o444)
    with pytest.raises(PermissionError, match="kept"):
        write_text(tmp_path / "kept", "new")
    assert (tmp_path / "kept").read_text() == "old"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")

    def fail() -> None:
        with whole_file(tmp_path / "old") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "old").read_text() == "old"
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), OSError("16 requested and 3 written")])
def test_an_error_of_the_system_names_the_file_that_the_user_knows(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(OSError, match="report") as caught, whole_file(tmp_path / "report"):
        raise error
    assert caught.value.filename == str(tmp_path / "report")
    assert caught.value.errno is not None


def test_a_folder_that_somebody_keeps_locked_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "PATIENCE", 0.1)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # as flock(1) does for the command that it runs
    write_text(tmp_path / "report", "text")
    os.close(descriptor)
    assert names(tmp_path) == ["report"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = "import os, sys; from pathlib import Path; from mctc.atomic import whole_file\n"
    killed += "with whole_file(Path(sys.argv[1])) as file: file.write(b'half'); file.flush(); os._exit(9)"
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / "report")], check=False)
    assert len(names(tmp_path)) == 1
    with whole_file(tmp_path / "report") as one, whole_file(tmp_path / "report") as two:  # the living stay
        assert len(names(tmp_path)) == 2
        one.write(b"one")
        two.write(b"two")
    assert names(tmp_path) == ["report"]
    assert (tmp_path / "report").read_text() == "one"
