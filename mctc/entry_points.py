"""Whether installed packages declare plugins of mctc, found out without the machinery of `importlib.metadata`.

Importing that module and parsing what every package declares costs a tenth of `mctc check`, and most environments have
no plugin.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

FOLDERS = (".dist-info", ".egg-info")
FILE = "entry_points.txt"


def may_have(prefix: str) -> bool:
    """Whether some package may declare entry points in a group that begins with `prefix`, such as `mctc.`.

    True as well where only `importlib.metadata` can tell: packages in archives, or finders of their own.
    """
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    return any(_declares(Path(entry or "."), f"[{prefix}") for entry in dict.fromkeys(sys.path))


def _declares(folder: Path, group: str) -> bool:
    if folder.is_file():
        return True  # an archive
    try:
        described = [each for each in folder.iterdir() if each.name.endswith(FOLDERS)]
    except OSError:
        return False
    for each in described:
        try:
            text = (each / FILE if each.is_dir() else each).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if group in text.replace(" ", ""):
            return True
    return False
