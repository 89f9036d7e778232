"""Inputs in processes that may die of them. Little is imported here: each of the processes imports it again."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bench.fuzz.guided import apart
from bench.fuzz.guided.session import Target
from bench.fuzz.guided.verdict import Verdict

COUNT, SEED = 6, 46
OUTCOMES = {b"exit": "ended with 11", b"loop": "no end", b"room": "MemoryError: ", b"key": "KeyError: 'x'"}


def dies(data: bytes, folder: Path) -> Verdict:
    """What ends the process, takes no end, takes too much memory, raises, or is refused."""
    if data == b"exit":
        os._exit(11)
    while data == b"loop":
        time.process_time()
    if data == b"room":
        bytearray(1 << 34)
    if data == b"key":
        raise KeyError("x")
    return Verdict.REFUSED


def dying(name: str, folder: Path) -> Target:
    """A target that tries these."""
    return Target(dies, [b"fine", *OUTCOMES], lambda data, random, most, plain: data, lambda data: 0.2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what memory a process has")
def test_an_input_that_ends_its_process_is_a_finding_and_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    target = dying("parser", tmp_path)
    inputs = [apart.made(target, "parser", SEED, number) for number in range(COUNT)]
    assert set(inputs) == set(target.seeds)
    found = {f"crash-parser-{SEED}-{number}": OUTCOMES[data] for number, data in enumerate(inputs) if data in OUTCOMES}
    assert apart.run("parser", COUNT, SEED, dying) == len(found)
    *lines, summary = capfd.readouterr().out.splitlines()
    assert lines == [f"{name}: {told}" for name, told in found.items()]
    assert summary.startswith(f"parser: {COUNT} inputs: {len(found)} found, {COUNT - len(found)} refused; ")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(found)
