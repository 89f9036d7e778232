"""Inputs made from the seeds alone, without coverage and atheris, each tried in a process that may die of it.

What is tried are mutations of the seeds, the same for the same seed number. A process tries one after another. When it
crashes, its input is a finding and another process goes on with the next. An input that takes no end is ended by the
system, by the processor time that it took.
"""

from __future__ import annotations

import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from bench.fuzz.guided.memory import limited_memory
from bench.fuzz.guided.session import LONGEST, Target, memory_folder, timed

SILENT_SECONDS = 1200
"""By the clock, for an input that waits for something and takes no processor time; also for making the seeds."""
READY = "ready"
"""What a process says when its seeds are made."""

Make = Callable[[str, Path], Target]


@dataclass(frozen=True)
class Tried:
    """What came of one input: its verdict, or what was found; processor seconds; the most memory so far, in bytes."""

    number: int
    told: str
    found: bool
    seconds: float = 0.0
    memory: int = 0


def run(name: str, count: int, seed: int, make: Make | None = None) -> int:
    """Tries `count` inputs of a target and prints what came of them; how many findings there were.

    An input that is one is written to the current folder as crash-NAME-SEED-NUMBER. make: makes the target by its name
    in a folder, as `targets.target` does; it goes to another process.
    """
    verdicts: Counter[str] = Counter()
    slowest, memory = 0.0, 0
    for each in tried(name, count, seed, make):
        verdicts["found" if each.found else each.told] += 1
        slowest, memory = max(slowest, each.seconds), max(memory, each.memory)
        if each.found:
            print(f"crash-{name}-{seed}-{each.number}: {each.told}", flush=True)
    counts = ", ".join(f"{number} {told}" for told, number in sorted(verdicts.items()))
    print(f"{name}: {count} inputs: {counts}; the slowest took {slowest:.1f} s, the most memory {memory >> 20} MiB")
    return verdicts["found"]


def tried(name: str, count: int, seed: int, make: Make | None = None) -> Iterator[Tried]:
    """What came of each input, in order."""
    context, number = get_context("spawn"), 0
    while number < count:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_try_all, args=(make, name, number, count, seed, theirs), daemon=True)
        process.start()
        theirs.close()
        ended = ""
        while number < count and not ended:
            try:
                told = ours.recv() if ours.poll(SILENT_SECONDS) else ""
            except EOFError:
                process.join()
                told = "" if process.exitcode == -signal.SIGPROF else f"ended with {process.exitcode}"
            if isinstance(told, Tried):
                yield told
                number += 1
            elif told != READY:
                ended = told or "no end"
        if ended:
            process.kill()
            yield Tried(number, ended, True)
            number += 1
        process.join()


def _try_all(given: Make | None, name: str, first: int, count: int, seed: int, connection: Connection) -> None:
    """In a process of its own: the inputs from `first` on."""
    if given is None:
        from bench.fuzz.guided.targets import target

        given = target
    with tempfile.TemporaryDirectory(prefix="mctc-fuzz-", dir=memory_folder()) as scratch:
        folder = Path(scratch)
        chosen = given(name, folder)
        chosen.trial(b"", folder)  # what is imported when first used
        connection.send(READY)
        for number in range(first, count):
            data = made(chosen, name, seed, number)
            crash = Path(f"crash-{name}-{seed}-{number}")
            crash.write_bytes(data)  # before it is tried: a process that dies leaves it there
            result = _try(chosen, data, folder, number)
            if not result.found:
                crash.unlink()
            connection.send(result)


def made(target: Target, name: str, seed: int, number: int) -> bytes:
    """The input of a number."""
    random, most = Random(f"{seed} {number}"), LONGEST[name]
    return target.mutate(random.choice(target.seeds), random, most, lambda data, most: _bytes(data, random, most))


def _bytes(data: bytes, random: Random, most: int) -> bytes:
    """In the place of libFuzzer's mutation of bytes: some are others, or gone."""
    at = random.randint(0, len(data))
    return (data[:at] + random.randbytes(random.randint(0, 8)) + data[at + random.randint(0, 8) :])[:most]


def _try(target: Target, data: bytes, folder: Path, number: int) -> Tried:
    before = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 2 * target.seconds(data))  # what isn't over then is never looked at by `timed`
    try:
        with limited_memory():
            told, found = timed(target, data, folder).value, False
    except Exception as error:
        told, found = f"{type(error).__name__}: {error}", True
    signal.setitimer(signal.ITIMER_PROF, 0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Tried(number, told, found, time.process_time() - before, memory)
