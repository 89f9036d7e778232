"""Which torch a project asks for, as far as the files around its code say so."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

FILES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements*.txt", "environment*.yml", "environment*.yaml")
BOUND = re.compile(r"""(?<![\w-])torch\s*["']?\s*(?:>=|==|~=|>|=)\s*["']?(\d+)\.(\d+)""")
LEVELS = 6  # folders above a file that are looked into
LARGEST = 1_000_000  # bytes


def torch_at_least(file: Path) -> tuple[int, int] | None:
    """The oldest torch that the nearest requirements above a file allow; None where nothing names one."""
    return _of_folder(file.resolve().parent, LEVELS) if file.is_file() else None


@lru_cache(maxsize=256)
def _of_folder(folder: Path, levels: int) -> tuple[int, int] | None:
    found: list[tuple[int, int]] = []
    for pattern in FILES:
        for file in folder.glob(pattern):
            found += [(int(major), int(minor)) for major, minor in BOUND.findall(_text(file))]
    if found or levels == 0 or folder == folder.parent:
        return min(found, default=None)
    return _of_folder(folder.parent, levels - 1)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.stat().st_size < LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""
