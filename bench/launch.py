"""Runs a command and writes what it used to a file: CPU seconds, wall seconds, peak resident bytes.

A program of its own because a child's peak memory counts from the moment it is forked: this one is small.
Usage: python launch.py REPORT COMMAND...
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Exits as the command does. The CPU time is user and system time, that of the command's own children included."""
    start = time.perf_counter()
    child = os.fork()
    if not child:
        os.execvp(sys.argv[2], sys.argv[2:])
    _, status, use = os.wait4(child, 0)
    wall = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes on Linux
    used = {"cpu": use.ru_utime + use.ru_stime, "wall": wall, "peak": use.ru_maxrss * unit}
    Path(sys.argv[1]).write_text(json.dumps(used), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
