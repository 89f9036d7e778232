"""How many live streams server.py holds: a server for each core, and clients that speak at the pace of live sound.

    python load.py BUILD --streams 2 4 8 --servers 2 --minutes 1

Prints for each number of streams the delay of finals after their endpoints, and the CPU time a second of sound (Linux).
The endpoint of a final is where its last word has been followed by the silence that the rule asks for.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from client import RATE, stream

from mctc.audio import bundled_recording, load_audio
from mctc.decode.endpoint import USUAL

PAUSE_S = 2.5  # behind each time that the recording is spoken
SILENCE_S = next(rule.silence_s for rule in USUAL if rule.spoken)
HELD_S = 1.0  # a stream is held where its finals come no later than that, 95 of 100


class Serving:
    """server.py in a process of its own, on a free port."""

    def __init__(self, build: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("server.py")), str(build), "--port", "0"]
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*command, "--threads", "1"], stdout=subprocess.PIPE, text=True, env={**os.environ, **one}
        )
        assert self.process.stdout is not None
        self.url = f"ws://127.0.0.1:{self.process.stdout.readline().split()[-1]}"

    def cpu_s(self) -> float:
        """Seconds of CPU time since it began."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def delays(url: str, seconds: float, late: float) -> list[float]:
    """Of a stream that begins `late` seconds from now: how long after its endpoint each final came."""
    spoken = np.concatenate([load_audio(bundled_recording()), np.zeros(int(PAUSE_S * RATE), np.float32)])
    found: list[float] = []
    last = 0.0

    def seen(event: dict[str, Any], at: float) -> None:
        nonlocal last
        if event["kind"] == "final":
            last = at - event["words"][-1]["end"] - SILENCE_S
        elif event["kind"] == "endpoint":
            found.append(last)

    await asyncio.sleep(late)
    await stream(url, np.tile(spoken, max(1, round(seconds * RATE / len(spoken)))), seen)
    return found


async def measure(servers: list[Serving], streams: int, seconds: float) -> str:
    """What that many streams at a time saw, as a row of a table."""
    once = len(load_audio(bundled_recording())) / RATE + PAUSE_S
    before = sum(server.cpu_s() for server in servers)
    spread = (at * once / streams for at in range(streams))  # so that not all pause at the same moment
    every = (delays(servers[at % len(servers)].url, seconds, late) for at, late in enumerate(spread))
    found = [delay for each in await asyncio.gather(*every) for delay in each]
    sound = streams * once * max(1, round(seconds / once))
    cpu = (sum(server.cpu_s() for server in servers) - before) / sound
    median, most = np.percentile(found, [50, 95])
    held = "yes" if most <= HELD_S else "no"
    return f"| {streams} | {len(found)} | {1000 * median:.0f} ms | {1000 * most:.0f} ms | {held} | {cpu:.3f} s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1.0)
    options = parser.parse_args()
    servers = [Serving(options.build) for _ in range(options.servers)]
    try:
        print("| streams | finals | median delay | 95 % within | held | CPU time a second of sound |")
        print("|---|---|---|---|---|---|")
        for streams in options.streams:
            print(asyncio.run(measure(servers, streams, 60 * options.minutes)), flush=True)
    finally:
        for server in servers:
            server.process.terminate()


if __name__ == "__main__":
    main()
