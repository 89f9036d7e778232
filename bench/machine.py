"""The machine in a line, without names."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

LIBRARIES = ("numpy", "scipy", "coremltools", "torch")


def describe() -> str:
    """Processor, cores, system, Python and the libraries that weigh in."""
    system = f"{platform.system()} {platform.machine()}"
    python = f"Python {platform.python_version()} ({sys.implementation.name})"
    return ", ".join([_processor(), f"{os.cpu_count()} cores", system, python, *_libraries()])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown processor"


def _libraries() -> list[str]:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return found
