"""One run of a target under atheris: modules instrumented, memory limited, seeds written, inputs tried one by one."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from bench.fuzz.guided.memory import limited_memory
from mctc.diagnostics.errors import UsageError

if TYPE_CHECKING:
    from bench.fuzz.guided.verdict import Trial, Verdict

CPU_SECONDS = 10.0
"""Processor time for one input that holds no hours of sound: beyond it counts as a hang."""
WALL_SECONDS = 100
"""What libFuzzer waits for one input that never ends, on a machine that does other things too."""
TARGETS = ("parser", "reader", "audio")
LONGEST = {"parser": 1 << 13, "reader": 1 << 15, "audio": 1 << 18}
"""Bytes of one input."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed: the trial of one input, the first inputs, how new ones are made, and the processor time that one
    may take."""

    trial: Trial
    seeds: Sequence[bytes]
    mutate: Callable[[bytes, Random, int, Callable[[bytes, int], bytes]], bytes]
    seconds: Callable[[bytes], float] = lambda data: CPU_SECONDS


def run(name: str, minutes: float, corpus: Path, arguments: Sequence[str] = ()) -> None:
    """Fuzzes a target for `minutes` of processor time, and ends the process.

    `arguments` go to libFuzzer: options, or files to try in the place of a run. Raises UsageError without atheris.
    """
    atheris = _atheris()
    scratch = Path(tempfile.mkdtemp(prefix="mctc-fuzz-", dir=memory_folder()))
    with atheris.instrument_imports(include=["mctc"]):
        from bench.fuzz.guided.targets import target

        chosen = target(name, scratch)
        for seed in chosen.seeds:  # imports what is imported when first used
            chosen.trial(seed, scratch)
    again = any(Path(argument).is_file() for argument in arguments)  # then libFuzzer tries these files and no others
    if not again:
        _write_seeds(chosen.seeds, corpus)
    end = time.process_time() + minutes * 60

    def once(data: bytes) -> None:
        timed(chosen, data, scratch)
        if time.process_time() > end:
            os.kill(os.getpid(), signal.SIGUSR1)  # libFuzzer ends at its next input, and prints what it did

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return chosen.mutate(data, Random(seed), most, atheris.Mutate)

    def cross(data: bytes, other: bytes, most: int, seed: int) -> bytes:
        return mutate(data if seed % 2 else other, most, seed)

    options = [f"-max_len={LONGEST[name]}", f"-timeout={WALL_SECONDS}", "-rss_limit_mb=0", "-print_final_stats=1"]
    atheris.Setup(
        [sys.argv[0], *options, *arguments, *([] if again else [str(corpus)])],
        once,
        custom_mutator=mutate,
        custom_crossover=cross,
    )
    with limited_memory():
        atheris.Fuzz()


def timed(target: Target, data: bytes, folder: Path) -> Verdict:
    """Tries an input: its verdict. Raises TimeoutError when it takes more processor time than it may."""
    before = time.process_time()
    verdict = target.trial(data, folder)
    taken = time.process_time() - before
    if taken > target.seconds(data):
        raise TimeoutError(f"{taken:.1f} s of processor time for {len(data)} bytes")
    return verdict


def _atheris() -> Any:
    try:
        import atheris
    except ImportError as error:
        hint = "pip install atheris; it has wheels for Linux and Python 3.11 and later"
        raise UsageError("coverage-guided fuzzing needs atheris", hint=hint) from error
    return atheris


def memory_folder() -> str | None:
    """A folder in memory, where there is one: files that are written for each input never reach a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _write_seeds(seeds: Sequence[bytes], corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:04}").write_bytes(seed)
