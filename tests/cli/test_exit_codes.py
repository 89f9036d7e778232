"""docs/cli.md tells how commands end, from the table here, and every row of it is tried.

MCTC_UPDATE_DOCS=1 writes the page's table anew.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from .conftest import SPEC, Command

# What happens, the exit code, and command lines that it happens to, beside the files of `files`.
SITUATIONS: list[tuple[str, int, str]] = [
    (
        "it did what was asked",
        0,
        """
        mctc --help
        mctc --version
        mctc build --help
        mctc check -V
        mctc check tiny.mct
        mctc check --format json tiny.mct
        mctc fmt --check tiny.mct
        mctc show tiny.mct
        mctc show tiny.mct --after channels-first
        mctc passes
        mctc explain MCT0001
        mctc compare tiny.mct
        mctc verify tiny --no-runtimes
        mctc why encoder_linear_conv2d --build tiny
        mctc lint tiny
        mctc import-weights --list
        mctc lint --exporter
        mctc build tiny.mct --target torch -o out
        mctc -q check tiny.mct
        mctc check -v tiny.mct
        """,
    ),
    (
        "a spec can't be read, or something is wrong with it",
        1,
        """
        mctc check none.mct
        mctc check .
        mctc check latin.mct
        mctc check broken.mct
        mctc check tiny.mct -D depth=3
        mctc check tiny.mct --model no
        mctc build none.mct
        mctc build broken.mct
        mctc build empty.mct
        mctc build .
        mctc show broken.mct
        mctc compare tiny.mct broken.mct
        mctc fmt torn.mct
        mctc fmt none.mct
        mctc check --format json broken.mct
        """,
    ),
    (
        "a file is not formatted, with `fmt --check` or `--diff`",
        1,
        """
        mctc fmt --check unformatted.mct
        mctc fmt --diff unformatted.mct
        """,
    ),
    (
        "another file can't be read or is not what it should be: a build, weights, a recording, a plugin",
        1,
        """
        mctc verify none
        mctc verify .
        mctc verify tiny.mct
        mctc run none --speech
        mctc run tiny none.wav
        mctc run tiny tiny.mct
        mctc run tiny --input x=none.npy
        mctc why x --build .
        mctc build tiny.mct --weights none.safetensors
        mctc build tiny.mct --weights tiny.mct
        mctc compare none
        mctc check tiny.mct --plugin none.py
        mctc import-weights none tiny.mct --from whisper
        mctc build tiny.mct -o tiny.mct
        mctc why none --build tiny
        """,
    ),
    (
        "the system refuses: a full disk, no permission, a file or the current folder in the way",
        1,
        """
        mctc build tiny.mct -o empty.mct
        mctc build tiny.mct -o empty.mct/inside
        mctc build tiny.mct -o . --force
        """,
    ),
    (
        "a plugin fails",
        1,
        """
        mctc check tiny.mct --plugin failing.py
        """,
    ),
    (
        "a check of the proof fails",
        1,
        """
        mctc verify damaged --no-runtimes
        mctc verify damaged --no-runtimes --json
        mctc -q verify damaged --no-runtimes
        """,
    ),
    (
        "`lint` finds something of `--fail-on` or worse",
        1,
        """
        mctc lint tiny --fail-on warning
        mctc lint --mps train.py
        """,
    ),
    (
        "a command, an option, an argument or its value is unknown, missing, or one too many",
        2,
        """
        mctc
        mctc chek tiny.mct
        mctc check
        mctc check --no tiny.mct
        mctc build --seed x tiny.mct
        mctc passes x
        mctc demo x
        mctc why
        mctc show
        mctc run
        mctc fmt
        mctc compare
        mctc lint
        mctc verify
        mctc explain MCT9999
        mctc check -D width tiny.mct
        mctc verify tiny --runtime none
        mctc build tiny.mct --target none
        mctc build tiny.mct --device none
        mctc build tiny.mct --chunk soon
        mctc build tiny.mct --chunk 0
        mctc build tiny.mct --without none
        mctc build tiny.mct --print-after none
        mctc build tiny.mct --state none
        mctc show tiny.mct --after none
        mctc build tiny.mct --target torch --state packed
        mctc import-weights none tiny.mct
        mctc lint tiny --device none
        mctc lint tiny --select NONE
        mctc lint --mps train.py --device m1
        mctc lint tiny --severity x
        mctc explain -
        mctc verify tiny --runtime none
        mctc check ''
        mctc fmt ''
        mctc build tiny.mct -o ''
        mctc lint ''
        mctc run '' --speech
        mctc build tiny.mct --weights ''
        mctc run tiny --speech --max-symbols 0
        """,
    ),
    (
        "options exclude each other, or standard input is named twice",
        2,
        """
        mctc -q -v check tiny.mct
        mctc check -q -v tiny.mct
        mctc show tiny.mct --after dead-code --before dead-code
        mctc verify tiny --no-runtimes --runtime torch
        mctc run tiny
        mctc run tiny a.wav --speech
        mctc run tiny a.wav --audio b.wav
        mctc run tiny a.wav --mic
        mctc run tiny a.wav --json --format srt
        mctc run tiny a.wav --pcm s16
        mctc run tiny - --rate 8000
        mctc check - -
        mctc compare - -
        mctc lint tiny --dry-run
        mctc lint --mps train.py --diff
        """,
    ),
    (
        "`lint` can't read a package, or write its report",
        2,
        """
        mctc lint tiny -o none/report.txt
        mctc lint tiny --write-baseline none/baseline.json
        mctc lint none.mlpackage
        mctc lint tiny.mct
        mctc lint empty.mlmodel
        """,
    ),
]
TABLE = "| what happens | exit code |\n|---|---|\n"
PROCESS = [
    ('mctc itself fails ("internal error"): please report it', 2),
    ("it is interrupted (SIGINT, Ctrl-C)", 130),
    ("the reader of its output goes away (`mctc show m.mct \\| head`)", 141),
]


@pytest.fixture
def files(place: Path, built: Path) -> Path:
    """The files that the command lines name, in the current folder."""
    shutil.copytree(built, place / "tiny")
    shutil.copytree(built, place / "damaged")
    (place / "damaged/whole.mir").write_text((built / "whole.mir").read_text() + "\n")
    (place / "broken.mct").write_text(SPEC.replace("relu", "rellu"))
    (place / "torn.mct").write_text(SPEC.rstrip().removesuffix("}"))
    (place / "latin.mct").write_bytes(SPEC.encode().replace(b"tiny", b"t\xefny"))
    (place / "empty.mct").touch()
    (place / "empty.mlmodel").touch()
    (place / "unformatted.mct").write_text(SPEC.replace("    ", "  "))
    (place / "failing.py").write_text("raise ZeroDivisionError\n")
    (place / "train.py").write_text("import torch\nx = torch.zeros(3).cuda()\n")
    return place


@pytest.mark.parametrize(("what", "code", "lines"), SITUATIONS, ids=[what for what, *_ in SITUATIONS])
def test_a_command_line_ends_as_the_page_says(what: str, code: int, lines: str, files: Path, command: Command) -> None:
    ended = {line: command(*shlex.split(line)[1:]) for line in lines.strip().splitlines()}
    assert {line: done.code for line, done in ended.items()} == dict.fromkeys(ended, code)
    for line, done in ended.items():
        assert "Traceback" not in done.err + done.out, line
        assert "internal error" not in done.err, line
        if code:
            assert done.err + done.out, line


def test_the_page_has_the_table(root: Path) -> None:
    page = root / "docs/cli.md"
    text = page.read_text(encoding="utf-8")
    rows = "".join(f"| {what} | {code} |\n" for what, code, *_ in [*SITUATIONS, *PROCESS])
    head, heading, rest = text.partition(TABLE)
    after = rest.partition("\n\n")[2]
    if os.environ.get("MCTC_UPDATE_DOCS"):
        page.write_text(f"{head}{heading}{rows}\n{after}", encoding="utf-8")
    else:
        assert text == f"{head}{heading}{rows}\n{after}"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_spec_that_may_not_be_read_is_told_as_one_that_is_missing(files: Path, command: Command) -> None:
    (files / "tiny.mct").chmod(0)
    done = command("check", "tiny.mct")
    assert done.code == 1
    assert "cannot read tiny.mct: permission denied" in done.err


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="a signal to a process")
def test_an_interrupted_process_says_so_and_ends_with_130(place: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "mctc", "check", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job in the background may ignore it
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:  # the last module before it waits for standard input
        if line.rstrip().endswith("mctc.language.check"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err
